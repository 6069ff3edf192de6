"""Output folders: what was asked last stands, nothing of another call is mixed in, and nobody's own file is harmed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drivelet.core import flow, outputs
from drivelet.core.errors import InputError
from drivelet.core.files import read_json


@flow.stage()
def made(config: dict[str, list[str]], *, source: str, out: Path) -> None:
    for name in config["files"]:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text(source)


def files(out: Path) -> dict[str, str]:
    found = (path for path in out.rglob("*") if path.is_file() and outputs.STAGES not in path.parts)
    return {str(path.relative_to(out)): path.read_text() for path in found if path.name != outputs.RUN}


def make(out: Path, *names: str, source: str = "a") -> None:
    outputs.command(made, {"files": list(names)}, out=out, inputs={"source": source})


def test_another_call_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "sub/b.bin")
    make(tmp_path, "a.csv", "c.bin", source="b")
    assert files(tmp_path) == {"a.csv": "b", "c.bin": "b"}
    make(tmp_path, "a.csv", "sub/b.bin")
    assert files(tmp_path) == {"a.csv": "a", "sub/b.bin": "a"}


def test_another_commands_folder_is_left_alone(tmp_path: Path) -> None:
    @flow.stage()
    def other(config: dict[str, str], *, out: Path) -> None:
        (out / "b.csv").write_text("b")

    make(tmp_path, "a.csv")
    with pytest.raises(InputError, match="holds what another command made"):
        outputs.command(other, {}, out=tmp_path, inputs={})
    with (
        pytest.raises(InputError, match="holds what another command made"),
        outputs.described(tmp_path, config={}, inputs={}),
    ):
        pass
    assert files(tmp_path) == {"a.csv": "a"}


def test_run_json_says_what_made_the_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.csv")
    told = read_json(tmp_path / outputs.RUN)
    assert told["format"] == outputs.FORMAT
    assert told["inputs"] == {"source": "a"}
    assert told["config"] == {"files": ["a.csv"]}
    assert list(told["files"]) == ["a.csv"]
    assert told["hardware"]["cores"] >= 1
    assert told["packages"]["numpy"]
    assert told["seconds"] >= 0


def test_a_table_of_lance_is_replaced_whole(tmp_path: Path) -> None:
    make(tmp_path, "t.lance/data/1", "t.lance/_versions/1")
    (tmp_path / "t.lance" / "_versions" / "2").write_text("a reviewer's")
    make(tmp_path, "t.lance/data/1", "t.lance/_versions/1", source="b")
    assert files(tmp_path) == {"t.lance/data/1": "b", "t.lance/_versions/1": "b"}


def test_files_that_people_edit_are_their_own(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "b.bin")
    with (tmp_path / "a.csv").open("a") as stream:  # in place, as some editors write
        stream.write("edited")
    make(tmp_path, "a.csv", "b.bin")
    assert files(tmp_path)["a.csv"] == "a"


def test_what_a_broken_call_made_is_not_shown(tmp_path: Path) -> None:
    make(tmp_path, "a.csv")
    with pytest.raises(IsADirectoryError):
        make(tmp_path, "a.csv", "sub/b.csv", "sub", source="b")
    assert files(tmp_path) == {"a.csv": "a"}
    assert read_json(tmp_path / outputs.RUN)["config"] == {"files": ["a.csv"]}


@pytest.mark.parametrize(
    "put",
    [
        lambda place: place.write_text("mine"),
        lambda place: place.mkdir(),
        lambda place: os.mkfifo(place),
        lambda place: place.symlink_to("/dev/null"),
    ],
)
def test_a_file_that_is_not_ours_stays(tmp_path: Path, put: Callable[[Path], object]) -> None:
    put(tmp_path / "a.csv")
    with pytest.raises(InputError, match="was not written by this command"):
        make(tmp_path, "a.csv")
    assert not (tmp_path / outputs.RUN).exists()
    assert os.path.lexists(tmp_path / "a.csv")


def test_a_run_json_cannot_make_us_remove_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("x")
    out = tmp_path / "out"
    make(out, "a.csv")
    told = read_json(out / outputs.RUN)
    told["files"] |= {"../theirs": "", str(tmp_path / "theirs"): ""}
    (out / outputs.RUN).write_text(json.dumps(told))
    make(out, "b.csv")
    assert (tmp_path / "theirs").is_file()


def test_a_refused_call_leaves_no_folder(tmp_path: Path) -> None:
    @flow.stage()
    def refusing(config: dict[str, str], *, out: Path) -> None:
        raise InputError("nothing there")

    with pytest.raises(InputError):
        outputs.command(refusing, {}, out=tmp_path / "out", inputs={})
    assert not (tmp_path / "out").exists()


HOLDING = """
import sys, time
from pathlib import Path
from drivelet.core.outputs import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_waits_and_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    holder = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdin is not None and first.stdout is not None
        assert first.stdout.readline() == "held\n"
        second = subprocess.Popen(holder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert second.stderr is not None
        assert b"is at work on it; waiting" in second.stderr.readline()
        assert second.poll() is None
        first.stdin.close()
        assert second.communicate()[0] == b"held\n"


def test_a_folder_that_was_moved_is_made_anew(tmp_path: Path) -> None:
    make(tmp_path / "one", "a.csv")
    (tmp_path / "one").rename(tmp_path / "two")
    runs = list((tmp_path / "two" / "stages").glob("made-*/manifest.json"))
    before = runs[0].stat().st_mtime_ns
    make(tmp_path / "two", "a.csv")
    assert runs[0].stat().st_mtime_ns != before
