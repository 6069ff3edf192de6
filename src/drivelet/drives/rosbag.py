"""ROS 1 bags, read from front to back: a bag without index, as a crash leaves it, is read like any other.

Format: http://wiki.ros.org/Bags/Format/2.0.
"""

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from drivelet.core.errors import InputError
from drivelet.drives.log_drive import log_reader
from drivelet.drives.message_log import Message, MessageLog, Part, Topic
from drivelet.drives.ros import decode_ros1
from drivelet.drives.unpacking import LARGEST, MIB, TooLargeError, unpack

MAGIC = b"#ROSBAG V2.0\n"
SUFFIX = ".bag"
MESSAGE, CHUNK, CONNECTION = 2, 5, 7
MOST_RECORDS = 1 << 18
"""Records of one chunk: each takes its time, however small it is."""
MOST_TOPICS = 1 << 16

Fields = dict[bytes, bytes]


class BagLog:
    """A ROS 1 bag as a message log; `name` stands in errors where the file is a packed one's copy."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self.name = name or str(path)
        self.topics: dict[int, Topic] = {}
        self.lost: Counter[str] = Counter()

    def parts(self) -> Iterator[Part]:
        """Yield the chunks (or lone messages) of the file in order."""
        with self.path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{self.name}: no ROS 1 bag by its first line; copy the recording again, whole")
            size = self.path.stat().st_size
            while (offset := stream.tell()) < size:
                record = _record(stream, size)
                if record is None:
                    self.lost["cut-off tails"] += 1
                    return
                yield Part(offset=offset, messages=self._messages(*record))

    def part(self, offset: int) -> Iterator[Message]:
        """Yield the messages of the chunk (or the lone message) at an offset."""
        with self.path.open("rb") as stream:
            stream.seek(offset)
            record = _record(stream, self.path.stat().st_size)
        if record:
            yield from self._messages(*record)

    def _messages(self, fields: Fields, data: bytes) -> Iterator[Message]:
        try:
            if _op(fields) != CHUNK:
                yield from self._message(fields, data)
                return
            promised = fields.get(b"size")
            size = int.from_bytes(promised, "little") if promised else None
            inner = unpack(fields[b"compression"].decode(), data, what="chunks", size=size)
        except TooLargeError as error:
            self.lost[str(error)] += 1
        except (KeyError, ValueError, IndexError):
            self.lost["damaged chunks"] += 1
        else:
            yield from self._inside(inner)

    def _inside(self, chunk: bytes | bytearray) -> Iterator[Message]:
        stream = BytesIO(chunk)
        for number in range(MOST_RECORDS + 1):
            if stream.tell() == len(chunk):
                return
            if number == MOST_RECORDS:
                self.lost[f"chunks of more than {MOST_RECORDS} records"] += 1
                return
            try:
                record = _record(stream, len(chunk))
                if record is None:
                    break
                yield from self._message(*record)
            except (KeyError, ValueError, IndexError):
                break
        self.lost["damaged chunks"] += 1

    def _message(self, fields: Fields, data: bytes) -> list[Message]:
        kind = _op(fields)
        if kind not in (MESSAGE, CONNECTION):
            return []
        number = int.from_bytes(fields[b"conn"], "little")
        if kind == MESSAGE:
            time = fields[b"time"]
            seconds, rest = (int.from_bytes(part, "little") for part in (time[:4], time[4:8]))
            return [Message(number, seconds * 10**9 + rest, data)]
        if number not in self.topics and len(self.topics) < MOST_TOPICS:
            name = _fields(data)[b"type"].decode()
            topic = fields[b"topic"].decode()
            self.topics[number] = Topic(name=topic, type=name, encoding="ros1", decode=decode_ros1(name))
        return []


def _op(fields: Fields) -> int:
    return fields[b"op"][0]


def _record(stream: BinaryIO, size: int) -> tuple[Fields, bytes] | None:
    """Return (header fields, data) at the stream's place, None where the file ends within it or is no longer a bag."""
    blocks: list[bytes] = []
    for largest in (MIB, LARGEST):
        length = int.from_bytes(stream.read(4), "little")
        if stream.tell() + length > size:
            return None
        # What is too large is skipped, and counted as damaged for what it then lacks.
        blocks.append(stream.read(length if length <= largest else 0))
        stream.seek(max(0, length - len(blocks[-1])), 1)
    try:
        fields = _fields(blocks[0])
    except ValueError:
        return None
    return (fields, blocks[1]) if fields.get(b"op") else None


def _fields(block: bytes) -> Fields:
    found: Fields = {}
    place = 0
    while place < len(block):
        length = int.from_bytes(block[place : place + 4], "little")
        name, equals, value = block[place + 4 : place + 4 + length].partition(b"=")
        if not equals or place + 4 + length > len(block):
            raise ValueError("damaged header")
        found[name] = value
        place += 4 + length
    return found


def _open(path: Path) -> MessageLog:
    return BagLog(path)


READER = log_reader("rosbag", lambda path: path.suffix.lower() == SUFFIX, _open)
