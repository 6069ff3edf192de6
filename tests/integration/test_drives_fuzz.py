"""Damaged or absurd logs of every format (200, `make fuzz` 3,000 more): each is refused in a line or its loss counted.

A case is a whole small log and one injury. Injuries whose loss a reader can know of must be told in `drive.json`
(or be refused); others (a digit changed in a text file) must at least leave the tables sound.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from drive_files import write_images, write_sensors, write_video
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest, ingested, losses
from drivelet.drives.sensors import LARGEST
from log_files import (
    START_NS,
    TELE,
    Entry,
    Script,
    frame_times,
    jpeg,
    numbered_frame,
    ros_drive,
    video_packets,
    write_bdd,
    write_comma,
    write_comma_minute,
    write_kitti,
    write_nuscenes,
    write_physicalai,
    zip_physicalai,
)

CASES = 80
"""Of a block; `make test` runs the first four blocks."""
FRAMES = 6
PACKED = (".db3", ".zstd", ".parquet", ".zip")
Injury = Callable[[random.Random, Path], bool]
"""Injures a log in a folder; returns whether a reader can know that something is lost."""


def foxglove(frames: int) -> Script:
    """A camera of JSON messages."""
    return Script([
        Entry("/cam", "foxglove.CompressedImage", time, {"format": "jpeg", "data": jpeg(numbered_frame(n))})
        for n, time in enumerate(frame_times(frames))
    ])  # fmt: skip


def packed(path: Path) -> None:
    path.with_name(f"{path.name}.zstd").write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    path.unlink()


def split(folder: Path) -> None:
    """A recording in two files."""
    entries = ros_drive(FRAMES).entries
    middle = len(entries) // 2
    for name, part in (("bag_0.db3", entries[:middle]), ("bag_1.db3", entries[middle:])):
        Script(part).write(folder / name)
    names = "rosbag2_bagfile_information:\n  relative_file_paths: [bag_0.db3, bag_1.db3]\n"
    (folder / "metadata.yaml").write_text(names)


def camera_video(codec: str, form: str) -> Script:
    """A camera of video packets in the messages of compressed images."""
    packets = list(video_packets(FRAMES, codec=codec, key_every=3))
    kind = "sensor_msgs/msg/CompressedImage"
    return Script([
        Entry("/cam", kind, time, {"format": form, "data": np.frombuffer(packet, np.uint8)})
        for time, packet in zip(frame_times(FRAMES), packets, strict=True)
    ])  # fmt: skip


def video(folder: Path) -> None:
    write_video(folder / "drive.mp4", frames=FRAMES, noise=True)
    write_sensors(folder / "drive.csv", seconds=1.0)


def images(folder: Path) -> None:
    write_images(folder, [f"{n:03d}.png" for n in range(FRAMES)])
    write_sensors(folder / "sensors.csv", seconds=1.0)


FORMATS: dict[str, Callable[[Path], Any]] = {
    "video": video,
    "images": images,
    "mcap": lambda folder: ros_drive(FRAMES).write(folder / "drive.mcap", chunk_size=1500),
    "unchunked": lambda folder: ros_drive(FRAMES).write(folder / "drive.mcap", chunked=False),
    "json": lambda folder: foxglove(FRAMES).write(folder / "drive.mcap", encoding="json"),
    "bag": lambda folder: ros_drive(FRAMES).write(folder / "drive.bag", chunk_size=1500),
    "db3": lambda folder: ros_drive(FRAMES).write(folder / "drive.db3"),
    "messages": lambda folder: ros_drive(FRAMES).write(folder / "drive.db3", mode="MESSAGE"),
    "packed": lambda folder: packed(ros_drive(FRAMES).write(folder / "drive.mcap", chunk_size=1500)),
    "split": lambda folder: split(folder),
    "h264": lambda folder: camera_video("libx264", "h264").write(folder / "drive.mcap", chunk_size=1500),
    "h265": lambda folder: camera_video("libx265", "hevc").write(folder / "drive.mcap", chunk_size=1500),
    "physicalai": lambda folder: write_physicalai(folder / "set", FRAMES, clips=("a",)),
    "chunks": lambda folder: zip_physicalai(write_physicalai(folder / "set", FRAMES, clips=("a",))),
    "comma2k19": lambda folder: write_comma(folder / "40", FRAMES),
    "npz": lambda folder: write_comma_minute(folder / "minute.npz", FRAMES),
    "kitti": lambda folder: write_kitti(folder / "day", FRAMES),
    "nuscenes": lambda folder: write_nuscenes(folder / "nuscenes", FRAMES),
    "bdd100k": lambda folder: write_bdd(folder, seconds=12),
}


# ---------------------------------------------------------------------- injuries to files of any format


def some_file(rng: random.Random, root: Path, *suffixes: str) -> Path | None:
    files = sorted(path for path in root.rglob("*") if path.is_file() and (not suffixes or path.suffix in suffixes))
    return rng.choice(files) if files else None


def truncated(rng: random.Random, root: Path) -> bool:
    file = some_file(rng, root)
    assert file is not None
    content = file.read_bytes()
    file.write_bytes(content[: rng.randrange(len(content))])
    # Only what comes before the index at its end is payload: the end of an MCAP or bag may go without loss of data.
    return False


def halved(rng: random.Random, root: Path) -> bool:
    file = some_file(rng, root, ".mcap", ".bag", ".npz", ".mp4", ".mov", ".hevc", ".jpg", ".png", ".json", *PACKED)
    if file is None:
        return False
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    return file.name not in ("preview.png", "scene-0001_vehicle_monitor.json") and TELE not in file.name


def emptied(rng: random.Random, root: Path) -> bool:
    file = some_file(rng, root)
    assert file is not None
    file.write_bytes(b"")
    # Nobody looks at a camera that is not chosen.
    return file.name not in ("preview.png", "calib_cam_to_cam.txt") and TELE not in file.name


def missing(rng: random.Random, root: Path) -> bool:
    file = some_file(rng, root)
    assert file is not None
    file.unlink()
    numbered = "day" in file.parts or "nuscenes" in file.parts
    return numbered and file.suffix in (".png", ".jpg", ".txt") and file.name != "calib_cam_to_cam.txt"


def flipped(rng: random.Random, root: Path) -> bool:
    file = some_file(rng, root)
    assert file is not None
    content = bytearray(file.read_bytes())
    for _ in range(rng.randint(1, 40)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    file.write_bytes(bytes(content))
    return False


def blanked(rng: random.Random, root: Path) -> bool:
    file = some_file(rng, root)
    assert file is not None
    content = bytearray(file.read_bytes())
    start = rng.randrange(len(content))
    content[start : start + 300] = rng.choice((b"\x00", b"\xff")) * len(content[start : start + 300])
    file.write_bytes(bytes(content))
    return False


def mistyped(rng: random.Random, root: Path) -> bool:
    """Put something else where a JSON file (or, without one, a text file) has a value."""
    file = some_file(rng, root, ".json")
    if file is None:
        return emptied(rng, root)
    content = json.loads(file.read_text())
    parent: Any = content
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = rng.choice(keys)
        if not isinstance(parent[key], (dict, list)) or not parent[key] or rng.random() < 0.2:
            break
        parent = parent[key]
    parent[key] = rng.choice([None, "text", [], {}, -1, 1e308, True, [[[]]]])
    file.write_text(json.dumps(content))
    return False


# ---------------------------------------------------------------------- injuries to what a log says


def samples(root: Path, change: Callable[[dict[str, Any]], None], *, bag: bool) -> bool:
    """Rewrite a ROS log with its IMU messages changed."""
    script = ros_drive(FRAMES)
    for entry in script.entries:
        if entry.topic == "/imu":
            change(entry.content)
    rewrite(root, script, bag=bag)
    return True


def rewrite(root: Path, script: Script, *, bag: bool) -> None:
    script.write(root / ("drive.bag" if bag else "drive.mcap"))


def with_nan(rng: random.Random, root: Path, bag: bool) -> bool:
    def change(content: dict[str, Any]) -> None:
        if rng.random() < 0.3:
            content["angular_velocity"]["z"] = rng.choice([np.nan, np.inf])

    return samples(root, change, bag=bag)


def in_other_units(rng: random.Random, root: Path, bag: bool) -> bool:
    def change(content: dict[str, Any]) -> None:
        content["angular_velocity"]["z"] *= 1000

    return samples(root, change, bag=bag)


def all_nan(rng: random.Random, root: Path, bag: bool) -> bool:
    return samples(root, lambda content: content["angular_velocity"].update(z=np.nan), bag=bag)


def shuffled(rng: random.Random, root: Path, bag: bool) -> bool:
    script = ros_drive(FRAMES)
    rng.shuffle(script.entries)
    rewrite(root, script, bag=bag)
    return True


def stopped_clock(rng: random.Random, root: Path, bag: bool) -> bool:
    script = ros_drive(FRAMES)
    for entry in script.entries:
        if entry.topic in ("/imu", "/odom"):
            entry.time_ns = START_NS
    rewrite(root, script, bag=bag)
    return True


def doubled(rng: random.Random, root: Path, bag: bool) -> bool:
    script = ros_drive(FRAMES)
    script.entries += rng.sample([e for e in script.entries if e.type.endswith("CompressedImage")], 2)
    rewrite(root, script, bag=bag)
    return True


def silent(rng: random.Random, root: Path, bag: bool) -> bool:
    script = ros_drive(FRAMES)
    topic = rng.choice(["/imu", "/odom", "/camera/front/image/compressed"])
    for entry in script.entries:
        if entry.topic == topic:
            entry.content = {}
    rewrite(root, script, bag=bag)
    return True


def wild_stamps(rng: random.Random, root: Path, bag: bool) -> bool:
    script = ros_drive(FRAMES)
    for entry in rng.sample(script.entries, 5):
        entry.time_ns = rng.choice([0, 1, (2**31 - 1) * 10**9, entry.time_ns + 10**14])
    rewrite(root, script, bag=bag)
    return False


FILE_INJURIES: list[Injury] = [truncated, halved, emptied, missing, flipped, blanked, mistyped]
LOG_INJURIES = [with_nan, in_other_units, all_nan, shuffled, stopped_clock, doubled, silent, wild_stamps]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One undamaged log of every format."""
    folders = {name: tmp_path_factory.mktemp("whole") / name for name in FORMATS}
    for name, folder in folders.items():
        folder.mkdir()
        FORMATS[name](folder)
    return folders


@pytest.fixture(scope="module")
def accounts(
    whole: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[int, list[int]]]]:
    """What is read of them: (frames, samples of every stream in use) of every drive."""
    out = tmp_path_factory.mktemp("accounts")
    return {name: account(ingest(IngestConfig(), source=path, out=out / name)) for name, path in whole.items()}


def digests(root: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


def injure(rng: random.Random, whole: dict[str, Path], root: Path) -> tuple[str, str, bool]:
    name = rng.choice(list(FORMATS))
    shutil.copytree(whole[name], root)
    if name in ("mcap", "bag") and rng.random() < 0.6:
        log_injury = rng.choice(LOG_INJURIES)
        return name, log_injury.__name__, log_injury(rng, root, name == "bag")
    injury = rng.choice(FILE_INJURIES)
    return name, injury.__name__, injury(rng, root)


def account(out: Path) -> list[tuple[int, list[int]]]:
    """Return how many frames and samples every drive has."""
    summaries = [json.loads((folder / "drive.json").read_text()) for folder in ingested(out)]
    return [(summary["frames"], [stream["samples"] for stream in summary["streams"]]) for summary in summaries]


def was_renamed(name: str, injury: str, out: Path, accounts: dict[str, list[tuple[int, list[int]]]]) -> bool:
    """Whether a scene bears another name now: it has all its frames, and the CAN bus files are those of nobody."""
    frames = [sorted(frames for frames, _ in found) for found in (account(out), accounts[name])]
    return (name, injury) == ("nuscenes", "mistyped") and frames[0] == frames[1]


def check_tables(out: Path) -> bool:
    """Check one drive's tables; return whether `drive.json` tells of a loss."""
    summary = json.loads((out / "drive.json").read_text())
    rows = read_rows(out / "frames.lance")
    times = [row["t"] for row in rows]
    assert summary["frames"] == len(rows) > 0
    assert summary["skipped_frames"] >= 0
    assert times == sorted(set(times))
    series = read_rows(out / "sensors.lance")
    assert {row["channel"] for row in series} == set(summary["sensors"])
    assert len(series) == sum(stream["samples"] for stream in summary["streams"])
    assert all(abs(row["value"]) <= LARGEST[row["channel"]] and np.isfinite(row["t"]) for row in series)
    if summary["pictures"]:
        assert next(iter(frames_at(rows[-1]["file"], [rows[-1]["frame"]])))[1].ndim == 3
    return bool(losses(summary) or summary["not_read"])


@pytest.mark.parametrize("block", [*range(4), *(pytest.param(block, marks=pytest.mark.fuzz) for block in range(4, 64))])
def test_every_injured_log_is_refused_in_one_line_or_read_with_its_loss_counted(
    whole: dict[str, Path], accounts: dict[str, list[tuple[int, list[int]]]], tmp_path: Path, block: int
) -> None:
    for case in range(block * CASES, (block + 1) * CASES):
        rng = random.Random(case)
        root = tmp_path / f"case{case}"
        name, injury, knowable = injure(rng, whole, root)
        what = f"case {case}: {name} {injury}"
        before = digests(root)
        try:
            out = ingest(IngestConfig(), source=root, out=tmp_path / f"out{case}")
        except InputError as error:
            assert "\n" not in str(error), what
            assert f"case{case}" in str(error), (what, str(error))
        else:
            told = [check_tables(folder) for folder in ingested(out)] + [(out / "refused.json").is_file()]
            # Nobody misses an optional file, or an image or a CSV line at the end that may never have been there.
            unknowable = injury == "missing" or name in ("video", "images") or was_renamed(name, injury, out, accounts)
            assert any(told) or (not knowable and (unknowable or account(out) == accounts[name])), what
        assert digests(root) == before, what
        shutil.rmtree(root)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_an_uninjured_log_loses_nothing(whole: dict[str, Path], tmp_path: Path, name: str) -> None:
    out = ingest(IngestConfig(), source=whole[name], out=tmp_path / "out")
    told = [losses(json.loads((folder / "drive.json").read_text())) for folder in ingested(out)]
    assert told == [[]] * len(told) or name == "npz"
