import bz2
import json
import tracemalloc

import lz4.frame
import pytest
import zstandard

from drivelet.core.errors import InputError
from drivelet.drives import message_log
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.unpacking import LARGEST, MIB, TooLargeError, check_size, unpack, unzstd
from log_files import START_NS, Entry, ros_drive

PACK = {"bz2": bz2.compress, "lz4": lz4.frame.compress, "zstd": zstandard.ZstdCompressor().compress, "none": bytes}


@pytest.mark.parametrize("compression", PACK)
def test_what_was_packed_comes_back(compression):
    data = bytes(range(256)) * 9000
    packed = PACK[compression](data)
    assert unpack(compression, packed, what="chunks", size=len(data)) == data
    assert unpack(compression, packed, what="chunks") == data
    with pytest.raises(ValueError, match="bytes where 7 are promised"):
        unpack(compression, packed, what="chunks", size=7)


@pytest.mark.parametrize("compression", ["bz2", "lz4", "zstd"])
@pytest.mark.parametrize("injury", [lambda data: data[: len(data) // 2], lambda data: b"\xff" * 9 + data[9:]])
def test_damaged_bytes_are_a_value_error(compression, injury):
    with pytest.raises(ValueError, match=r"damaged|promised"):
        unpack(compression, injury(PACK[compression](bytes(range(256)) * 99)), what="chunks", size=256 * 99)


def test_an_unknown_compression_is_named():
    with pytest.raises(ValueError, match="compression 'rar' is not supported; known are bz2, lz4, zstd"):
        unpack("rar", b"", what="chunks")


@pytest.mark.parametrize("compression", ["bz2", "lz4", "zstd"])
def test_zeros_without_end_stop_at_the_limit_whatever_was_promised(compression, monkeypatch):
    monkeypatch.setattr("drivelet.drives.unpacking.check_size.__kwdefaults__", {"limit": 4 * MIB})
    bomb = PACK[compression](bytes(100 * MIB))
    tracemalloc.start()
    with pytest.raises(TooLargeError, match="chunks of more than 4 MiB"):
        unpack(compression, bomb, what="chunks", size=4 * MIB)
    assert tracemalloc.get_traced_memory()[1] < 40 * MIB
    tracemalloc.stop()


def test_a_promise_beyond_the_limit_is_refused_before_anything_is_read():
    with pytest.raises(TooLargeError, match="chunks of more than 256 MiB"):
        unpack("zstd", b"", what="chunks", size=LARGEST + 1)
    check_size(LARGEST, "chunks")


def test_only_zstd_frames_are_taken_for_packed_messages():
    assert unzstd(b"\x00\x01\x00\x00plain", what="messages") == b"\x00\x01\x00\x00plain"
    assert unzstd(PACK["zstd"](b"\x00\x01"), what="messages") == b"\x00\x01"
    with pytest.raises(ValueError, match="damaged zstd"):
        unzstd(b"\x28\xb5\x2f\xfd", what="messages")


def test_an_mcap_whose_chunk_promises_gigabytes_is_refused_with_the_limit(tmp_path):
    path = ros_drive(frames=2).write(tmp_path / "a.mcap", chunk_size=10**6)
    content = bytearray(path.read_bytes())
    chunk = content.index(b"\x06", 8)
    while int.from_bytes(content[chunk + 1 : chunk + 9], "little") > len(content):
        chunk = content.index(b"\x06", chunk + 1)
    content[chunk + 9 + 16 : chunk + 9 + 24] = (3 * 2**30).to_bytes(8, "little")
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"is empty \(1 chunks of more than 256 MiB\)"):
        ingest(IngestConfig(), source=path, out=tmp_path / "out")


@pytest.mark.parametrize("suffix", ["mcap", "bag"])
def test_a_chunk_of_too_many_records_is_read_up_to_a_number_and_said(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("drivelet.drives.mcap.MOST_RECORDS", 40)
    monkeypatch.setattr("drivelet.drives.rosbag.MOST_RECORDS", 40)
    path = ros_drive(frames=12).write(tmp_path / f"a.{suffix}", chunk_size=10**6)
    out = ingest(IngestConfig(), source=path, out=tmp_path / "out")
    assert json.loads((out / "drive.json").read_text())["lost"] == {"chunks of more than 40 records": 1}


def test_a_topic_of_which_nothing_can_be_read_is_only_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("drivelet.drives.message_log.MOST_BAD", 5)
    script = ros_drive(frames=12)
    decoded = []
    decode = message_log.decoded_message

    def noted(topic, data):
        decoded.append(topic.name)
        return decode(topic, data)

    monkeypatch.setattr(message_log, "decoded_message", noted)
    kind = "foxglove_msgs/msg/CompressedVideo"
    script.entries += [Entry("/video", kind, START_NS + n, {"format": "vp9"}) for n in range(30)]
    out = ingest(IngestConfig(), source=script.write(tmp_path / "a.mcap"), out=tmp_path / "out")
    lost = json.loads((out / "drive.json").read_text())["lost"]
    assert lost == {"messages of /video (video format 'vp9' is not supported; known are h264, h265)": 30}
    assert decoded.count("/video") == 5
