"""Where a command may write: what stands there already decides."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drivelet.core.errors import InputError
from drivelet.core.places import check_once, check_place


def refused(out: Path, *inputs: Path, is_file: bool = False) -> str:
    before = sorted(out.parent.iterdir()) if out.parent.is_dir() else []
    with pytest.raises(InputError) as caught:
        check_place(out, inputs, is_file=is_file)
    assert before == (sorted(out.parent.iterdir()) if out.parent.is_dir() else [])
    return str(caught.value)


@pytest.mark.parametrize("is_file", [True, False])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_a_device_or_a_pipe_is_no_output(tmp_path: Path, make: Callable[[Path], object], is_file: bool) -> None:
    make(tmp_path / "out")
    assert "a device, a pipe or a socket; choose another --out" in refused(tmp_path / "out", is_file=is_file)


def test_a_link_to_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("out")
    assert "out: Too many levels of symbolic links" in refused(tmp_path / "out")


def test_the_other_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("{}\n")
    (tmp_path / "folder").mkdir()
    assert "a file, where a folder is to be written" in refused(tmp_path / "file")
    assert "a folder, where a file is to be written" in refused(tmp_path / "folder", is_file=True)
    assert "out: Not a directory" in refused(tmp_path / "file" / "deeper" / "out")


def test_an_input_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "preds.jsonl").write_text('{"image": "a.png"}\n')
    (tmp_path / "link").symlink_to("preds.jsonl")
    (tmp_path / "model").mkdir()
    for given in ("preds.jsonl", "link"):
        assert "this is an input" in refused(tmp_path / "preds.jsonl", tmp_path / given, is_file=True)
    assert "this is an input" in refused(tmp_path / "model" / ".", tmp_path / "model")


def test_an_input_that_an_earlier_command_wrote_into_the_output_is_kept(tmp_path: Path) -> None:
    model = tmp_path / "out" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    check_place(tmp_path / "out", [model], is_file=False)
    (tmp_path / "out" / "run.json").write_text(json.dumps({"files": {"model/config.json": "d"}}))
    assert "this input was written into" in refused(tmp_path / "out", model)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"path,task\na.png,x\n", b"[1]\n", b"[" * 90_000, b"null\n"])
def test_a_file_of_another_kind_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "out").write_bytes(content)
    assert "it exists and holds no JSON lines" in refused(tmp_path / "out", is_file=True)
    assert (tmp_path / "out").read_bytes() == content


def test_good_places_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "preds.jsonl").write_text('{"image": "a.png"}\n')
    (tmp_path / "empty").write_text("")
    (tmp_path / "folder").mkdir()
    for place in ("preds.jsonl", "empty", "new", "deeper/new"):
        check_place(tmp_path / place, [], is_file=True)
    for place in ("folder", "new", "deeper/new"):
        check_place(tmp_path / place, [tmp_path, tmp_path / "empty"], is_file=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "folder", "preds.jsonl"]


def test_a_place_out_of_reach_is_named() -> None:
    assert "nothing can be written in /proc" in refused(Path("/proc/nowhere/out"))


def test_what_is_given_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    check_once([str(tmp_path / "a"), str(tmp_path), "hub/a", "hub/b"])
    for pair in ((tmp_path / "a", tmp_path / "a" / "."), (tmp_path / "a", tmp_path / "b"), ("hub/a", "hub/a")):
        with pytest.raises(InputError, match="given twice; leave one out"):
            check_once([str(each) for each in pair])
