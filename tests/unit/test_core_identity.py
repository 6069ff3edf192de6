"""Identity: content decides; names, sizes and ages do not; what a manifest lists counts with it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drivelet.core import flow
from drivelet.core.errors import InputError
from drivelet.core.identity import check_unchanged, digest_file, drive_id, identify, read_stage


@flow.stage()
def written(config: dict[str, str], *, out: Path) -> None:
    (out / "manifest.csv").write_text(config["text"])
    (out / "frames").mkdir()
    (out / "frames" / "0.png").write_bytes(b"pixels")


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    return flow.run(written, {"text": "path,task\n"}, store=tmp_path / "stages", inputs={})


def test_a_file_of_the_same_size_and_time_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 100)
    stat = path.stat()
    before = digest_file(path)
    path.write_bytes(b"b" * 100)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert digest_file(path) != before


def test_a_manifest_is_known_by_its_pictures(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("path,task\na.png,x\n")
    alone = identify(manifest)
    (tmp_path / "a.png").write_bytes(b"red")
    red = identify(manifest)
    (tmp_path / "a.png").write_bytes(b"green")
    assert len({alone, red, identify(manifest)}) == 3
    assert identify(tmp_path) != identify(manifest)


def test_a_folder_is_known_by_pictures_that_its_manifest_finds_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.csv").write_text("path,task\n../a.png,x\n")
    (tmp_path / "a.png").write_bytes(b"red")
    red = identify(tmp_path / "data")
    (tmp_path / "a.png").write_bytes(b"green")
    assert identify(tmp_path / "data") != red


def test_what_keeps_account_of_an_output_folder_is_not_its_content(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / "model").write_text("weights")
    before = identify(tmp_path)
    (tmp_path / "run.json").write_text('{"seconds": 3}')
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "chunk").write_text("x")
    assert identify(tmp_path) == before
    (tmp_path / "model").write_text("other weights")
    assert identify(tmp_path) != before


def test_a_folder_of_the_users_may_be_called_stages(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    before = identify(tmp_path)
    (tmp_path / "stages" / "clip.mp4").write_bytes(b"video")
    assert identify(tmp_path) != before


def test_an_unreadable_file_in_a_folder_is_for_the_folders_reader(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert identify(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "manifest.csv").write_text("path,task\nb.png,x\n"),
        lambda folder: (folder / "frames" / "0.png").unlink(),
        lambda folder: (folder / "frames" / "1.png").write_bytes(b"new"),
    ],
)
def test_a_finished_stage_that_was_changed_by_hand_is_told(finished: Path, change: Callable[[Path], object]) -> None:
    known = read_stage(finished)
    assert known is not None
    check_unchanged(finished, known["digests"])
    change(finished)
    with pytest.raises(InputError, match="changed after it was written; remove"):
        flow.run(written, {"text": "path,task\n"}, store=finished.parent, inputs={})
    with pytest.raises(InputError, match="changed after it was written"):
        identify(finished)


def test_one_file_of_a_stage_is_checked_alone(finished: Path) -> None:
    (finished / "frames" / "0.png").write_bytes(b"other")
    assert identify(finished / "manifest.csv").endswith(":manifest.csv")
    with pytest.raises(InputError, match=r"0\.png: changed"):
        identify(finished / "frames")


def test_a_users_own_manifest_json_makes_no_stage(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"key": "mine"}')
    (tmp_path / "a").write_text("x")
    before = identify(tmp_path / "a")
    (tmp_path / "a").write_text("y")
    assert identify(tmp_path / "a") != before


def test_a_drive_is_known_by_content_and_not_by_name_or_place(tmp_path: Path) -> None:
    for place, content in (("mon", b"red"), ("tue", b"green")):
        (tmp_path / place).mkdir()
        (tmp_path / place / "front.mp4").write_bytes(content)
    (tmp_path / "copy.mp4").write_bytes(b"red")
    ids = [drive_id(tmp_path / name) for name in ("mon/front.mp4", "tue/front.mp4", "copy.mp4")]
    assert ids[0] != ids[1]
    assert ids[0] == ids[2]
    assert drive_id(f"{tmp_path / 'copy.mp4'}#/camera") != ids[2]
