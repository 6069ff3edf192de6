"""What lies in folders: every drive once under a name of its own, and everything else counted by reason."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from drive_files import write_images, write_sensors, write_video
from drivelet.core.errors import InputError
from drivelet.drives.discover import discover, survey
from drivelet.drives.drive_names import name_drives
from drivelet.drives.ingest import IngestConfig, ingest, ingested
from drivelet.drives.reading import DriveSource


def test_files_that_nothing_reads_are_counted_by_reason_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_video(tmp_path / "in" / "a.mp4", frames=2)
    for name in ("a.heic", "b.heic", "notes.txt", "LICENCE"):
        (tmp_path / "in" / name).write_text("x")
    (tmp_path / "in" / ".hidden").write_text("x")
    out = ingest(IngestConfig(), source=tmp_path / "in", out=tmp_path / "out")
    wanted = {".heic (no reader)": 2, ".txt (no reader)": 1, "LICENCE (no reader)": 1}
    assert json.loads((out / "drive.json").read_text())["not_read"] == wanted
    said = capsys.readouterr().err
    assert "not read: 4 files or folders: 2 .heic (no reader), 1 " in said


def test_what_lies_in_folders_without_a_drive_is_said_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "in" / "x" / "a.mp4", frames=2)
    (tmp_path / "in" / "y").mkdir()
    (tmp_path / "in" / "y" / "a.heic").write_text("x")
    out = ingest(IngestConfig(), source=tmp_path / "in", out=tmp_path / "out")
    assert json.loads((out / "drive.json").read_text())["not_read"] == {}
    assert "not read: 1 files or folders: 1 .heic" in capsys.readouterr().err


def test_frames_beside_a_preview_are_a_drive_each(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "monday", [f"{n:04d}.png" for n in range(8)])
    write_video(folder / "preview.mp4", frames=5)
    out = ingest(IngestConfig(), source=folder, out=tmp_path / "out")
    counts = {drive.name: json.loads((drive / "drive.json").read_text())["frames"] for drive in ingested(out)}
    assert counts == {"monday": 8, "preview": 5}


@pytest.mark.parametrize(
    "names", [["thumb.png"], ["a.jpg", "b.jpg", "c.jpg", "d.jpg"], ["thumb.png", "poster.png", "map.png", "x.png"]]
)
def test_stills_beside_videos_are_no_drive_but_counted(tmp_path: Path, names: list[str]) -> None:
    for name in "abcd":
        write_video(tmp_path / f"{name}.mp4", frames=2)
    write_images(tmp_path, names)
    found = survey(tmp_path)
    assert [drive.name for drive in found.drives] == ["a", "b", "c", "d"]
    assert sum(found.not_read.values()) == len(names)
    assert all("pictures beside a video" in reason for reason in found.not_read)


def test_lists_and_logs_that_are_read_are_not_counted(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "pictures", ["0.png", "1.png"])
    write_sensors(folder / "sensors.csv")
    (folder / "times.csv").write_text("file,timestamp_s\n0.png,0\n1.png,1\n")
    write_video(tmp_path / "clips" / "CLIP.MP4", frames=2)
    write_sensors(tmp_path / "clips" / "CLIP.CSV")
    found = survey(tmp_path)
    assert [drive.sensors and drive.sensors.name for drive in found.drives] == ["CLIP.CSV", "sensors.csv"]
    assert found.not_read == {}


def test_a_log_that_two_videos_share_is_said_with_its_remedy(tmp_path: Path) -> None:
    for name in "ab":
        write_video(tmp_path / f"{name}.mp4", frames=2)
    write_sensors(tmp_path / "sensors.csv")
    assert list(survey(tmp_path).not_read) == [".csv (sensors.csv beside 2 drives; name it a.csv if it is that one's)"]


def test_links_back_and_across_give_every_drive_once(tmp_path: Path) -> None:
    write_video(tmp_path / "runs" / "5" / "a.mp4", frames=2)
    (tmp_path / "runs" / "5" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "latest").symlink_to(tmp_path / "runs" / "5", target_is_directory=True)
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "latest.mp4").symlink_to(tmp_path / "runs" / "5" / "a.mp4")
    found = survey(tmp_path)
    assert [drive.name for drive in found.drives] == ["runs_5_a"]
    assert sorted(found.not_read) == [
        "latest.mp4 (a link to a file read before)",
        "latest/ (a link to a folder read before)",
        "runs/5/loop/ (a link to a folder read before)",
        "self (a link to nothing)",
    ]


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path: Path) -> None:
    write_video(tmp_path / "disk" / "a.mp4", frames=2)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "disk").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert [drive.name for drive in discover(tmp_path / "in")] == ["disk_a"]


def test_pipes_sockets_and_devices_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", frames=2)
    for name in ("b.mp4", "a.csv", "a.json", "c.bag", "d.npz", "sensors.csv"):
        os.mkfifo(tmp_path / name)
    with socket.socket(socket.AF_UNIX) as server:
        # The address of a socket is short.
        monkeypatch.chdir(tmp_path)
        server.bind("e.mcap")
    (tmp_path / "f.mp4").symlink_to(os.devnull)
    found = survey(tmp_path)
    assert [drive.name for drive in found.drives] == ["a"]
    assert sum(found.not_read.values()) == 8
    assert all("a pipe, socket or device" in reason for reason in found.not_read)
    for name in ("b.mp4", "c.bag", "e.mcap", "f.mp4"):
        with pytest.raises(InputError, match="no video or log"):
            discover(tmp_path / name)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user may enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for place in folder.rglob("*"):
        if place.is_dir():
            place.chmod(0o755)
    shutil.rmtree(folder)


ANOTHER_USER = """
import json, os, sys
from pathlib import Path
from drivelet.core.errors import InputError
from drivelet.drives.discover import survey
if os.geteuid() == 0:
    os.setuid(65534)
try:
    found = survey(Path(sys.argv[1]))
    print(json.dumps([[drive.name for drive in found.drives], dict(found.not_read)]))
except InputError as error:
    print(json.dumps(str(error)))
"""


def seen_by_another_user(folder: Path) -> list[object] | str:
    command = [sys.executable, "-c", ANOTHER_USER, str(folder)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_folder_that_may_not_be_read_is_named_and_passed_over(open_to_all: Path, mode: int) -> None:
    write_video(open_to_all / "a.mp4", frames=2)
    write_video(open_to_all / "lost+found" / "b.mp4", frames=2)
    (open_to_all / "lost+found").chmod(mode)
    assert seen_by_another_user(open_to_all) == [["a"], {"lost+found/ (Permission denied)": 1}]
    said = seen_by_another_user(open_to_all / "lost+found")
    assert isinstance(said, str) and "lost+found: Permission denied" in said


def test_damaged_tables_of_a_data_set_do_not_end_the_search(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=2)
    (tmp_path / "nuscenes" / "v1.0-mini").mkdir(parents=True)
    (tmp_path / "nuscenes" / "v1.0-mini" / "scene.json").write_text("{")
    found = survey(tmp_path)
    assert [drive.name for drive in found.drives] == ["a"]
    assert [reason for reason in found.not_read if reason.startswith("nuscenes/ (") and "scene.json" in reason]
    with pytest.raises(InputError, match=r"scene\.json"):
        survey(tmp_path / "nuscenes")


def test_a_name_that_is_no_utf_8_is_named_and_passed_over(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=2)
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    found = survey(tmp_path)
    assert [drive.name for drive in found.drives] == ["a"]
    assert "no UTF-8" in next(iter(found.not_read))


def test_names_are_unlike_each_other_whatever_the_folders_are_called(tmp_path: Path) -> None:
    for place in ("cam_a/1.mp4", "cam/a_1.mp4", "cam/A_1.mp4", "cam/a_1.avi", "cam__a/1.mp4", "x/y.mp4"):
        write_video(tmp_path / place, frames=2)
    names = [drive.name for drive in discover(tmp_path)]
    assert len({name.casefold() for name in names}) == 6
    assert "x_y" in names


def test_a_name_never_leads_out_of_its_folder_and_fits_into_one(tmp_path: Path) -> None:
    parts = ["../../x", "..", "", "a/b", "x" * 300, "x" * 299 + "y", "\n", "..", "../../x"]
    drives = [DriveSource(name="", file=tmp_path / "set", kind="nuscenes", part=part) for part in parts]
    names = [drive.name for drive in name_drives(drives, root=tmp_path / "set")]
    assert len(set(names)) == len(parts)
    for name in names:
        (tmp_path / "out" / name).mkdir(parents=True)
        assert (tmp_path / "out" / name).resolve().parent == (tmp_path / "out").resolve()
        assert len(name.encode()) <= 205


def test_packed_logs_lose_both_suffixes(tmp_path: Path) -> None:
    for name in ("a.mcap.zstd", "b.mcap", "b.bag"):
        (tmp_path / name).write_text("x")
    drives = [DriveSource(name="", file=path, kind="mcap") for path in sorted(tmp_path.iterdir())]
    assert [drive.name for drive in name_drives(drives, root=tmp_path)] == ["a", "b_bag", "b_mcap"]


def test_a_tree_deeper_than_any_recursion_is_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "a.mp4", frames=2)
    with monkeypatch.context() as patch:
        for _ in range(sys.getrecursionlimit() + 100):
            patch.chdir(tmp_path)
            Path("d").mkdir()
            tmp_path /= "d"
    top = next(parent for parent in tmp_path.parents if (parent / "a.mp4").is_file())
    try:
        assert [drive.name for drive in discover(top)] == ["a"]
    finally:
        # Python's own removal recurses.
        subprocess.run(["rm", "-r", str(top / "d")], check=True)
