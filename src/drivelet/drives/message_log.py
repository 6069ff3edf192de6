"""What MCAP files and ROS bags share: one pass finds cameras and sensors and locates the pictures."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any, NamedTuple, Protocol

from drivelet.drives import messages
from drivelet.drives.pictures import is_key

LATEST_NS = 2**62


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A channel of a log: its name, the full name of its message type, and its decoder where this is known."""

    name: str
    type: str
    decode: Callable[[bytes], Any] | None

    @property
    def kind(self) -> str:
        """The last word of the type."""
        return messages.kind_of(self.type)


class Message(NamedTuple):
    """One message, still encoded: the key of its topic, when it was logged, its bytes."""

    topic: int
    log_ns: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a log that is read at once: a chunk, or a lone message."""

    offset: int
    messages: Sequence[Message]


class MessageLog(Protocol):
    """A container of messages."""

    topics: dict[int, Topic]
    lost: Counter[str]

    def parts(self) -> Iterator[Part]:
        """Yield all parts in order; raise `InputError` where this is no such file."""
        ...

    def part(self, offset: int) -> Sequence[Message]:
        """Return the messages of the part at an offset."""
        ...


@dataclass(frozen=True, kw_only=True)
class Shots:
    """Where the pictures of one topic lie: four numbers a picture, and whether it can be decoded by itself."""

    kind: str
    stamp_ns: array = default(default_factory=lambda: array("q"))
    log_ns: array = default(default_factory=lambda: array("q"))
    offset: array = default(default_factory=lambda: array("q"))
    number: array = default(default_factory=lambda: array("q"))
    key: bytearray = default(default_factory=bytearray)


@dataclass(frozen=True, kw_only=True)
class Readings:
    """The samples of one sensor topic: times, and a row of values each, in a frame by its name."""

    kind: str
    frame: str = ""
    stamp_ns: array = default(default_factory=lambda: array("q"))
    log_ns: array = default(default_factory=lambda: array("q"))
    values: array = default(default_factory=lambda: array("d"))


@dataclass(frozen=True, kw_only=True)
class Index:
    """What one pass over a log has found, by topic."""

    log: MessageLog
    shots: dict[str, Shots]
    readings: dict[str, Readings]
    focal: dict[str, tuple[float, int]]
    empty: list[Topic]
    lost: Counter[str]


def scan(log: MessageLog) -> Index:
    """Read a log once; pictures are only located."""
    index = Index(log=log, shots={}, readings={}, focal={}, empty=[], lost=Counter())
    seen: set[int] = set()
    for part in log.parts():
        for number, message in enumerate(part.messages):
            topic = log.topics.get(message.topic)
            seen.add(message.topic)
            if topic is None:
                index.lost["messages of an unknown topic"] += 1
            elif topic.kind in (*messages.PICTURES, *messages.SENSORS, *messages.CAMERAS):
                try:
                    _note(index, topic, message, part.offset, number)
                except messages.BROKEN:
                    index.lost[f"messages of {topic.name}"] += 1
    index.empty.extend(topic for key, topic in log.topics.items() if key not in seen)
    index.lost.update(log.lost)
    return index


def _note(index: Index, topic: Topic, message: Message, offset: int, number: int) -> None:
    if topic.decode is None:
        raise ValueError("its encoding is not known")
    if not 0 <= message.log_ns < LATEST_NS:
        raise ValueError("its time is absurd")
    decoded = decoded_message(topic, message.data)
    if topic.kind in messages.CAMERAS:
        if focal := messages.focal_of(decoded):
            index.focal.setdefault(topic.name, focal)
        return
    stamp_ns = messages.stamp_ns(decoded)
    if topic.kind in messages.SENSORS:
        row = messages.values(topic.kind, decoded)
        found: Any = index.readings.setdefault(topic.name, Readings(kind=topic.kind, frame=messages.frame_of(decoded)))
        found.values.extend(row)
    else:
        key = topic.kind != messages.VIDEO or is_key(messages.payload(decoded), messages.video_codec(decoded))
        found = index.shots.setdefault(topic.name, Shots(kind=topic.kind))
        found.offset.append(offset)
        found.number.append(number)
        found.key.append(key)
    found.stamp_ns.append(stamp_ns)
    found.log_ns.append(message.log_ns)


def decoded_message(topic: Topic, data: bytes) -> Any:
    """Return a decoded message; what its decoder raises on damaged bytes becomes one of `messages.BROKEN`."""
    assert topic.decode is not None
    try:
        return topic.decode(data)
    except messages.BROKEN:
        raise
    except Exception as error:
        # Protobuf and others raise errors of their own on damaged bytes.
        raise ValueError(str(error)) from error
