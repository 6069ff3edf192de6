"""What MCAP files and ROS bags share: one pass finds cameras and sensors and locates the pictures."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from dataclasses import field as default
from typing import Any, NamedTuple, Protocol

from drivelet.drives import messages
from drivelet.drives.pictures import packet_head

LATEST_NS = 2**62
MOST_BAD = 1000
"""A topic of which not one in so many messages could be read is only counted."""
MOST_SETS = 10_000
"""Changes of a video's parameter sets that are kept."""


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A channel of a log: its name, the full name of its message type, its encoding, and its decoder where known."""

    name: str
    type: str
    encoding: str
    decode: Callable[[bytes], Any] | None

    @property
    def kind(self) -> str:
        """The last word of the type."""
        return messages.kind_of(self.type)


class Message(NamedTuple):
    """One message, still encoded: the key of its topic, when it was logged, its bytes."""

    topic: int
    log_ns: int
    data: bytes | memoryview


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a log that is read at once: a chunk, or a lone message."""

    offset: int
    messages: Iterable[Message]


class MessageLog(Protocol):
    """A container of messages."""

    topics: dict[int, Topic]
    lost: Counter[str]

    def parts(self) -> Iterator[Part]:
        """Yield all parts in order; raise `InputError` where this is no such file."""
        ...

    def part(self, offset: int) -> Iterable[Message]:
        """Yield the messages of the part at an offset."""
        ...


@dataclass(frozen=True, kw_only=True)
class Shots:
    """Where the pictures of one topic lie: four numbers a picture, and whether it can be decoded by itself.

    Attributes:
        kind: the last word of the messages' type.
        form: how the first message says that its bytes are to be read.
        codec: of a video, empty where the pictures are stills.
        sets: a video's parameter sets as they came: (pictures before them, all that hold from there on).
    """

    kind: str
    form: str
    codec: str
    sets: list[tuple[int, dict[int, bytes]]] = default(default_factory=list)
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
    """What one pass over a log has found, by topic; `faults` holds why the first bad message of a topic is not read."""

    log: MessageLog
    shots: dict[str, Shots]
    readings: dict[str, Readings]
    focal: dict[str, tuple[float, int]]
    empty: list[Topic]
    unread: dict[str, str]
    faults: dict[str, str]
    lost: Counter[str]


def scan(log: MessageLog) -> Index:
    """Read a log once; pictures are only located."""
    index = Index(log=log, shots={}, readings={}, focal={}, empty=[], unread={}, faults={}, lost=Counter())
    seen: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for part in log.parts():
        for number, message in enumerate(part.messages):
            topic = log.topics.get(message.topic)
            if topic is None:
                index.lost["messages of an unknown topic"] += 1
                continue
            seen[topic.name] += 1
            if topic.kind not in messages.KINDS:
                index.unread[topic.name] = topic.type
                continue
            if MOST_BAD <= bad[topic.name] == seen[topic.name] - 1:
                bad[topic.name] += 1
                continue
            try:
                _note(index, topic, message, part.offset, number)
            except messages.BROKEN as error:
                bad[topic.name] += 1
                index.faults.setdefault(topic.name, _reason(error))
    index.lost.update({f"messages of {name} ({index.faults[name]})": count for name, count in bad.items()})
    index.empty.extend({topic.name: topic for topic in log.topics.values() if topic.name not in seen}.values())
    index.lost.update(log.lost)
    return index


def _reason(error: Exception) -> str:
    """A missing field's error is its bare name."""
    text = " ".join(str(error).split())[:160]
    return f"without {text}" if isinstance(error, KeyError | AttributeError) else text or type(error).__name__


def _note(index: Index, topic: Topic, message: Message, offset: int, number: int) -> None:
    if topic.decode is None:
        raise ValueError(f"no known {topic.type} in {topic.encoding or 'a nameless'} encoding")
    if not 0 <= message.log_ns < LATEST_NS:
        raise ValueError("its time is absurd")
    decoded = decoded_message(topic, message.data)
    if topic.kind in messages.CAMERAS:
        if focal := messages.focal_of(decoded):
            index.focal.setdefault(topic.name, focal)
        return
    if topic.kind in messages.SENSORS:
        row = messages.values(topic.kind, decoded)
        found: Any = index.readings.setdefault(topic.name, Readings(kind=topic.kind, frame=messages.frame_of(decoded)))
        found.values.extend(row)
    else:
        shots = _shots(index, topic, decoded)
        if shots is None:
            return
        found = shots
        found.offset.append(offset)
        found.number.append(number)
    found.stamp_ns.append(messages.stamp_ns(decoded))
    found.log_ns.append(message.log_ns)


def _shots(index: Index, topic: Topic, decoded: Any) -> Shots | None:
    """Return where a picture is to be noted, None where a packet holds parameter sets alone."""
    form = messages.format_of(topic.kind, decoded)
    codec = messages.video_codec(topic.kind, form)
    head = packet_head(messages.payload(decoded), codec) if codec else None
    found = index.shots.setdefault(topic.name, Shots(kind=topic.kind, form=form, codec=codec))
    if codec != found.codec:
        raise ValueError(f"{form!r} among {found.form!r}")
    if head and head.sets and len(found.sets) < MOST_SETS:
        known = found.sets[-1][1] if found.sets else {}
        if not head.sets.items() <= known.items():
            found.sets.append((len(found.key), {**known, **head.sets}))
    if head and head.sets and not head.picture:
        return None
    found.key.append(head is None or head.key)
    return found


def decoded_message(topic: Topic, data: bytes | memoryview) -> Any:
    """Return a decoded message; what its decoder raises on damaged bytes becomes one of `messages.BROKEN`."""
    assert topic.decode is not None
    try:
        return topic.decode(bytes(data))
    except messages.BROKEN:
        raise
    except Exception as error:
        # Protobuf and others raise errors of their own on damaged bytes.
        raise ValueError(str(error)) from error
