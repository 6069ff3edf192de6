"""MCAP containers, read from front to back: no index is needed, and what a crash or a bad disk left is read.

Format: https://mcap.dev/spec. Messages in CDR (ROS 2), ROS 1, JSON and protobuf encodings are decoded.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Message, Schema
from mcap.stream_reader import breakup_chunk
from mcap_protobuf.decoder import DecoderFactory

from drivelet.core.errors import InputError
from drivelet.drives.log_drive import log_reader
from drivelet.drives.message_log import Message as LogMessage
from drivelet.drives.message_log import MessageLog, Part, Topic
from drivelet.drives.ros import decode_cdr, decode_ros1

MAGIC = b"\x89MCAP0\r\n"
SUFFIX = ".mcap"
DECODABLE = {"cdr": decode_cdr, "ros1": decode_ros1}


class McapLog:
    """An MCAP file as a message log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.topics: dict[int, Topic] = {}
        self.lost: Counter[str] = Counter()
        self._schemas: dict[int, Schema] = {}

    def parts(self) -> Iterator[Part]:
        """Yield the chunks (or lone messages) of the file in order."""
        with self.path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{self.path}: no MCAP file by its first bytes; copy the recording again, whole")
            whole = False
            while (offset := stream.tell()) >= 0 and (record := _record(stream)) and record[0] != Opcode.FOOTER:
                # The summary behind the data repeats all channels, those without messages too.
                whole = whole or record[0] == Opcode.DATA_END
                yield Part(offset=offset, messages=self._messages(*record))
            if not whole:
                self.lost["cut-off tails"] += 1

    def part(self, offset: int) -> list[LogMessage]:
        """Return the messages of the chunk (or the lone message) at an offset."""
        with self.path.open("rb") as stream:
            stream.seek(offset)
            record = _record(stream)
            return self._messages(*record) if record else []

    def _messages(self, opcode: int, content: bytes) -> list[LogMessage]:
        try:
            records = _parsed(opcode, content)
        except Exception:
            # Decompressors, checksums and field readers each raise their own; the next record is found all the same.
            self.lost["damaged chunks" if opcode == Opcode.CHUNK else "damaged records"] += 1
            return []
        found: list[LogMessage] = []
        for record in records:
            if isinstance(record, Schema):
                self._schemas[record.id] = record
            elif isinstance(record, Channel):
                self._add(record)
            elif isinstance(record, Message):
                found.append(LogMessage(record.channel_id, record.log_time, record.data))
        return found

    def _add(self, channel: Channel) -> None:
        if channel.id not in self.topics:
            schema = self._schemas.get(channel.schema_id)
            name = schema.name if schema else ""
            self.topics[channel.id] = Topic(
                name=channel.topic, type=name, decode=_decoder(channel.message_encoding, schema)
            )


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
    stream.seek(here)
    return head[0], stream.read(length)


def _parsed(opcode: int, content: bytes) -> list[Any]:
    stream = ReadDataStream(BytesIO(content))
    if opcode == Opcode.CHUNK:
        return breakup_chunk(Chunk.read(stream), validate_crc=True)
    if opcode == Opcode.MESSAGE:
        return [Message.read(stream, len(content))]
    if opcode == Opcode.SCHEMA:
        return [Schema.read(stream)]
    return [Channel.read(stream)] if opcode == Opcode.CHANNEL else []


def _decoder(encoding: str, schema: Schema | None) -> Callable[[bytes], Any] | None:
    if encoding == "json":
        return json.loads
    if schema and encoding in DECODABLE:
        return DECODABLE[encoding](schema.name)
    try:
        return DecoderFactory().decoder_for(encoding, schema)
    except Exception:
        # A damaged descriptor fails in protobuf's own ways; the topic then counts as one that is not understood.
        return None


def _open(path: Path) -> MessageLog:
    return McapLog(path)


READER = log_reader("mcap", SUFFIX, _open)
