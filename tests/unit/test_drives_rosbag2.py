import json
import sqlite3

import pytest
import zstandard

from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives import unpacking
from drivelet.drives.discover import discover
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest
from log_files import FRAMES, Script, ros_drive, write_rosbag2


def ingested(tmp_path, path):
    """Ingest a bag; return its frame rows and drive.json."""
    out = ingest(IngestConfig(), source=path, out=tmp_path / "out")
    return read_rows(out / "frames.lance"), json.loads((out / "drive.json").read_text())


def split(tmp_path, *, storage="SQLITE3", mode="NONE", files=3):
    """A bag of several files with one metadata.yaml, each with the messages of its stretch of time."""
    entries = ros_drive().entries
    folder = tmp_path / "bag"
    folder.mkdir()
    names = []
    for n in range(files):
        stretch = entries[len(entries) * n // files : len(entries) * (n + 1) // files]
        part = write_rosbag2(tmp_path / f"part{n}", stretch, storage=storage, mode=mode)
        file = next(file for file in part.iterdir() if file.name != "metadata.yaml")
        names.append(f"bag_{n}{''.join(file.suffixes)}")
        file.rename(folder / names[-1])
    lines = "".join(f"  - {name}\n" for name in names)
    text = f"rosbag2_bagfile_information:\n  version: 9\n  relative_file_paths:\n{lines}"
    (folder / "metadata.yaml").write_text(text)
    return folder


def assert_whole(rows, summary):
    assert [(row["frame"], round(row["t"], 6)) for row in rows] == [(n, n / 10) for n in range(FRAMES)]
    assert [rows[5][name] for name in ("speed_mps", "yaw_rate_radps", "acceleration_mps2")] == [10.5, 0.1, 1.0]
    assert (summary["focal_px"], summary["lost"]) == (55.5, {})
    assert [stream["samples"] for stream in summary["streams"]] == [60] * 3
    assert [index for index, _ in frames_at(rows[0]["file"], [2, 9])] == [2, 9]


@pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
@pytest.mark.parametrize("mode", ["NONE", "MESSAGE", "FILE"])
def test_a_bag_of_any_storage_and_compression_becomes_the_tables(tmp_path, storage, mode):
    folder = write_rosbag2(tmp_path / "bag", ros_drive().entries, storage=storage, mode=mode)
    assert_whole(*ingested(tmp_path, folder))


def test_a_database_without_its_folder_is_a_drive(tmp_path):
    path = ros_drive().write(tmp_path / "drive.db3")
    before = path.read_bytes()
    rows, summary = ingested(tmp_path, path)
    assert_whole(rows, summary)
    assert (summary["kind"], summary["drive"]) == ("rosbag2", "drive")
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["drive.db3", "out"]


@pytest.mark.parametrize("suffix", ["db3", "mcap", "bag"])
def test_a_packed_file_is_named_as_the_unpacked_one(tmp_path, suffix):
    path = ros_drive().write(tmp_path / f"drive.{suffix}")
    packed = tmp_path / f"drive.{suffix}.zstd"
    packed.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    path.unlink()
    rows, summary = ingested(tmp_path, tmp_path)
    assert_whole(rows, summary)
    assert (summary["drive"], rows[0]["file"]) == ("drive", str(packed))


@pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
@pytest.mark.parametrize("mode", ["NONE", "FILE"])
def test_a_split_recording_is_one_drive(tmp_path, storage, mode):
    folder = split(tmp_path, storage=storage, mode=mode)
    assert [(drive.name, drive.file) for drive in discover(folder)] == [("bag", folder)]
    assert_whole(*ingested(tmp_path, folder))


def test_a_file_of_a_split_recording_that_is_gone_is_counted(tmp_path):
    folder = split(tmp_path)
    (folder / "bag_1.db3").unlink()
    rows, summary = ingested(tmp_path, folder)
    assert 0 < len(rows) < FRAMES
    assert summary["lost"] == {"files of the bag": 1}
    for file in folder.glob("*.db3"):
        file.unlink()
    with pytest.raises(InputError, match=r"none of the files that its metadata\.yaml names is there"):
        ingested(tmp_path, folder)


def test_names_in_the_metadata_never_lead_out_of_the_bag(tmp_path):
    folder = split(tmp_path)
    outside = ros_drive().write(tmp_path / "secret.db3")
    (folder / "bag_1.db3").unlink()
    text = (folder / "metadata.yaml").read_text()
    (folder / "metadata.yaml").write_text(text.replace("bag_1.db3", f"../{outside.name}"))
    assert ingested(tmp_path, folder)[1]["lost"] == {"files of the bag": 1}


def test_rows_of_a_damaged_database_are_skipped_and_counted(tmp_path):
    path = ros_drive().write(tmp_path / "drive.db3")
    with sqlite3.connect(path) as base:
        base.execute("UPDATE messages SET timestamp = 'late' WHERE id = 3")
        base.execute("UPDATE messages SET data = x'00' WHERE id = 5")
        base.execute("UPDATE messages SET topic_id = 99 WHERE id = 7")
    base.close()
    rows, summary = ingested(tmp_path, path)
    assert len(rows) >= FRAMES - 1
    assert sum(summary["lost"].values()) == 3
    assert summary["lost"]["damaged rows"] == 1
    assert summary["lost"]["messages of an unknown topic"] == 1


def test_a_torn_page_takes_its_own_rows_only(tmp_path):
    path = ros_drive(frames=40).write(tmp_path / "drive.db3")
    content = bytearray(path.read_bytes())
    page = len(content) // 2 // 4096 * 4096
    content[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(bytes(content))
    rows, summary = ingested(tmp_path, path)
    assert 30 < len(rows) <= 40
    assert sum(summary["lost"].values()) + summary["skipped_frames"] > 0


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("CREATE TABLE other (id)", "without a bag's tables"),
        (
            "CREATE TABLE topics (id); CREATE VIEW messages AS SELECT zeroblob(1000000000) data",
            "without a bag's tables",
        ),
        ("CREATE TABLE topics (id); CREATE TABLE messages (id)", "no readable ROS 2 bag"),
    ],
)
def test_a_database_that_is_no_bag_is_one_clear_line(tmp_path, script, words):
    path = tmp_path / "drive.db3"
    base = sqlite3.connect(path)
    base.executescript(script)
    base.close()
    with pytest.raises(InputError, match=words):
        ingested(tmp_path, path)


def test_a_value_beyond_the_limit_is_never_built(tmp_path, monkeypatch):
    path = Script([]).write(tmp_path / "drive.db3")
    base = sqlite3.connect(path)
    base.execute("INSERT INTO topics VALUES (1, '/imu', 'sensor_msgs/msg/Imu', 'cdr', '', '')")
    base.execute("ALTER TABLE messages ADD COLUMN more AS (zeroblob(1000000000))")
    base.execute("INSERT INTO messages (id, topic_id, timestamp, data) VALUES (1, 1, 1, zeroblob(300000000))")
    base.commit()
    base.close()
    with pytest.raises(InputError, match="damaged rows"):
        ingested(tmp_path, path)


@pytest.mark.parametrize("content", [b"", b"hello\n" * 99, zstandard.ZstdCompressor().compress(b"hello\n" * 99)])
@pytest.mark.parametrize("name", ["a.db3", "a.db3.zstd", "a.mcap.zstd"])
def test_a_file_that_is_no_log_is_one_clear_line(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"by its first bytes|no readable zstd") as caught:
        ingested(tmp_path, tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_unpacks_without_end_is_refused_with_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "LARGEST_RATIO", 10)
    path = tmp_path / "a.mcap.zstd"
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(10_000_000)))
    with pytest.raises(InputError, match=r"it unpacks to more than .* GB \(10 times its size\)"):
        ingested(tmp_path, path)
    assert [file for file in unpacking._room().iterdir() if "a.mcap" in file.name and file.stat().st_size > 10**6] == []


def test_a_schema_of_damaged_text_is_one_clear_line(tmp_path):
    path = ros_drive().write(tmp_path / "drive.db3")
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE topics", b"CREATE \xbcABLE topics"))
    with pytest.raises(InputError, match="no readable ROS 2 bag") as caught:
        ingested(tmp_path, path)
    assert "\n" not in str(caught.value)
