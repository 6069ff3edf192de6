"""Files from outside: read within bounds, or refused in one line that says where and what."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue

from drivelet.core import outside
from drivelet.core.errors import InputError
from drivelet.core.outside import parse_as, read_as, read_lines


class Part(BaseModel):
    name: str
    count: int = 0


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_as(path, list[Part], remedy="write it again")
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith("; write it again")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[{]", "no JSON"),
        ("[]".encode("utf-16"), "no text in UTF-8"),
        (b"{}", "must be a valid array"),
        (b'[{"name": "a"}, {"name": null}]', "1.name: must be a valid string"),
        (b'[{"name": "a", "count": "3"}]', "0.count: must be a valid integer"),
        (b'[{"count": 3}]', "0.name: is missing"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert said in refused(tmp_path / "a.json")


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name, said in (("pipe", "no ordinary file"), ("zero", "no ordinary file"), ("loop", "symbolic links")):
        assert said in refused(tmp_path / name)
    assert "no ordinary file" in refused(tmp_path)
    assert "no such file" in refused(tmp_path / "nowhere")


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "LARGEST", 2**20)
    monkeypatch.setattr(outside, "LONGEST", 100)
    with (tmp_path / "large").open("wb") as stream:
        stream.truncate(2**20 + 1)
    assert "more than 1 are not read" in refused(tmp_path / "large")
    (tmp_path / "lines").write_bytes(b"x" * 100 + b"\n")
    with pytest.raises(InputError, match="line 1: more than"):
        list(read_lines(tmp_path / "lines", remedy="cut it"))


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf[{"name": "a"}]')
    assert read_as(tmp_path / "a.json", list[Part], remedy="") == [Part(name="a")]


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_one_line(content: bytes) -> None:
    try:
        parse_as(content, JsonValue, where="f", remedy="stop")
    except InputError as error:
        assert str(error).startswith("f: no JSON")
        assert "\n" not in str(error)
