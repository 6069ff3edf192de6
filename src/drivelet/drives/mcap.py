"""MCAP containers, read from front to back: no index is needed, and what a crash or a bad disk left is read.

Format: https://mcap.dev/spec. Messages in CDR (ROS 2), ROS 1, JSON and protobuf encodings are decoded.
"""

import json
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Schema
from mcap_protobuf.decoder import DecoderFactory

from drivelet.core.errors import InputError
from drivelet.drives.log_drive import log_reader
from drivelet.drives.message_log import Message, MessageLog, Part, Topic
from drivelet.drives.messages import is_read
from drivelet.drives.ros import decode_cdr, decode_ros1
from drivelet.drives.unpacking import LARGEST, MIB, TooLargeError, check_size, unpack

MAGIC = b"\x89MCAP0\r\n"
SUFFIX = ".mcap"
DECODABLE = {"cdr": decode_cdr, "ros1": decode_ros1}
MESSAGE_HEAD = struct.Struct("<HIQQ")
"""Channel, sequence, log time, publish time."""
PRIVATE = 0x80
"""Opcodes from here on are other people's."""
TOO_LARGE = -1
"""In place of the opcode of a record that is not read for its size."""
MOST_RECORDS = 1 << 18
"""Records of one chunk: each takes its time, however small it is."""
LARGEST_JSON = 16 * MIB
LARGEST_TABLE = 64 * MIB
"""Bytes of all schemas and channels together."""


class McapLog:
    """An MCAP file as a message log; `name` stands in errors where the file is a packed one's copy."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self.name = name or str(path)
        self.topics: dict[int, Topic] = {}
        self.lost: Counter[str] = Counter()
        self._schemas: dict[int, Schema] = {}
        self._described = 0

    def parts(self) -> Iterator[Part]:
        """Yield the chunks (or lone messages) of the file in order."""
        with self.path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{self.name}: no MCAP file by its first bytes; copy the recording again, whole")
            whole = False
            while (offset := stream.tell()) >= 0 and (record := _record(stream)) and record[0] != Opcode.FOOTER:
                # The summary behind the data repeats all channels, those without messages too.
                whole = whole or record[0] == Opcode.DATA_END
                # The format has no such records: damage has put zeros (or others) in place of some.
                self.lost["damaged records"] += record[0] == 0 or Opcode.DATA_END < record[0] < PRIVATE
                yield Part(offset=offset, messages=self._messages(*record))
            if not whole:
                self.lost["cut-off tails"] += 1

    def part(self, offset: int) -> Iterator[Message]:
        """Yield the messages of the chunk (or the lone message) at an offset."""
        with self.path.open("rb") as stream:
            stream.seek(offset)
            record = _record(stream)
        if record:
            yield from self._messages(*record)

    def _messages(self, opcode: int, content: bytes) -> Iterator[Message]:
        try:
            for kind, record in _records(opcode, content):
                if kind == Opcode.MESSAGE:
                    channel, _, log_ns, _ = MESSAGE_HEAD.unpack_from(record)
                    yield Message(channel, log_ns, record[MESSAGE_HEAD.size :])
                else:
                    self._describe(kind, record)
        except TooLargeError as error:
            self.lost[str(error)] += 1
        except Exception:
            # Decompressors, checksums and field readers each raise their own; the next record is found all the same.
            self.lost["damaged chunks" if opcode == Opcode.CHUNK else "damaged records"] += 1

    def _describe(self, kind: int, record: memoryview) -> None:
        """Note a schema or a channel once; schemas of messages that nobody reads are not kept."""
        number = int.from_bytes(record[:2], "little")
        if number in (self._schemas if kind == Opcode.SCHEMA else self.topics):
            return
        self._described += len(record)
        check_size(self._described, "schemas and channels", limit=LARGEST_TABLE)
        stream = ReadDataStream(BytesIO(record))
        if kind == Opcode.SCHEMA:
            schema = Schema.read(stream)
            self._schemas[schema.id] = schema if is_read(schema.name) else replace(schema, data=b"")
        elif kind == Opcode.CHANNEL:
            channel = Channel.read(stream)
            found = self._schemas.get(channel.schema_id)
            name, encoding = found.name if found else "", channel.message_encoding
            decode = _decoder(encoding, found) if is_read(name) else None
            self.topics[channel.id] = Topic(name=channel.topic, type=name, encoding=encoding, decode=decode)


def _record(stream: BinaryIO) -> tuple[int, bytes] | None:
    """Return (opcode, content) of the record at the stream's place, None where the file ends within it."""
    head = stream.read(9)
    length = int.from_bytes(head[1:], "little")
    if len(head) < 9 or length > 2**40:
        return None
    if head[0] not in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE, Opcode.CHUNK):
        stream.seek(length, 1)
        return head[0], b""
    # A length that damage made huge must not be believed before the file is seen to be that long.
    here = stream.tell()
    if stream.seek(0, 2) < here + length:
        return None
    if length > LARGEST:
        stream.seek(here + length)
        return TOO_LARGE, b""
    stream.seek(here)
    return head[0], stream.read(length)


def _records(opcode: int, content: bytes) -> Iterator[tuple[int, memoryview]]:
    """Yield the records of a chunk, or the lone record itself."""
    if opcode == TOO_LARGE:
        check_size(LARGEST + 1, "records")
    if opcode != Opcode.CHUNK:
        yield opcode, memoryview(content)
        return
    chunk = Chunk.read(ReadDataStream(BytesIO(content)))
    data = unpack(chunk.compression, chunk.data, what="chunks", size=chunk.uncompressed_size)
    if chunk.uncompressed_crc and zlib.crc32(data) != chunk.uncompressed_crc:
        raise ValueError("its checksum is wrong")
    view, place = memoryview(data), 0
    for number in range(MOST_RECORDS + 1):
        if place == len(data):
            return
        end = place + 9 + int.from_bytes(view[place + 1 : place + 9], "little")
        if number == MOST_RECORDS:
            raise TooLargeError(f"chunks of more than {MOST_RECORDS} records")
        if end > len(data):
            break
        yield view[place], view[place + 9 : end]
        place = end
    raise ValueError("its records do not fit it")


def _decoder(encoding: str, schema: Schema | None) -> Callable[[bytes], Any] | None:
    if encoding == "json":
        return _decode_json
    if schema and encoding in DECODABLE:
        return DECODABLE[encoding](schema.name)
    try:
        return DecoderFactory().decoder_for(encoding, schema)
    except Exception:
        # A damaged descriptor fails in protobuf's own ways; the topic then counts as one that is not understood.
        return None


def _decode_json(data: bytes) -> Any:
    check_size(len(data), "JSON messages", limit=LARGEST_JSON)
    return json.loads(data)


def _open(path: Path) -> MessageLog:
    return McapLog(path)


READER = log_reader("mcap", lambda path: path.suffix.lower() == SUFFIX, _open)
