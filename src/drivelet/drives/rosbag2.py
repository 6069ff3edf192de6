"""ROS 2 bags beyond one MCAP file: SQLite storage, whole files in zstd, and recordings that are split over files.

Sources: the tables of rosbag2_storage_sqlite3 (`topics`, `messages`), and `metadata.yaml` with its
`relative_file_paths`. A bag whose folder lies under another name, or that is listed as unpacked where it is packed (or
the other way round), is found all the same.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drivelet.core.errors import InputError
from drivelet.drives.log_drive import log_reader
from drivelet.drives.mcap import McapLog
from drivelet.drives.message_log import Message, MessageLog, Part, Topic
from drivelet.drives.ros import decode_cdr
from drivelet.drives.rosbag import BagLog
from drivelet.drives.unpacking import LARGEST, MIB, ZSTD_SUFFIXES, unpacked_file

METADATA = "metadata.yaml"
MAGIC = b"SQLite format 3\x00"
FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What a damaged database raises; the message of an error may itself hold damaged text."""
LARGEST_METADATA = 16 * MIB
MOST_TOPICS = 1 << 16
MOST_FAULTS = 10_000
"""Rows in a row that cannot be read end the reading of a damaged database."""


class SqliteLog:
    """A `.db3` file as a message log; every row is a part of its own. `name` stands in errors."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path = path
        self.name = name or str(path)
        self.topics: dict[int, Topic] = {}
        self.lost: Counter[str] = Counter()

    def parts(self) -> Iterator[Part]:
        """Yield all messages in the order in which they were written."""
        with self.path.open("rb") as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise InputError(f"{self.name}: no SQLite file by its first bytes; copy the recording again, whole")
        wal = self.path.with_name(f"{self.path.name}-wal")
        if wal.is_file() and wal.stat().st_size:
            self.lost[
                "write-ahead logs (-wal), which a recorder that ended badly leaves: open the bag once with sqlite3"
            ] += 1
        try:
            with closing(self._connect()) as base:
                self._read_topics(base)
                yield from self._rows(base)
        except FAULTS as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self.name}: no readable ROS 2 bag ({reason}); copy the recording again, whole"
            ) from error

    def part(self, offset: int) -> Iterator[Message]:
        """Yield the message of a row, none where damage hides it from a search by its number."""
        with suppress(*FAULTS), closing(self._connect()) as base:
            row = base.execute("SELECT id, topic_id, timestamp, data FROM messages WHERE id = ?", (offset,)).fetchone()
            for part in self._part(row or ()):
                yield from part.messages

    def _connect(self) -> sqlite3.Connection:
        # Immutable: nothing is written beside the file, not even a lock.
        base = sqlite3.connect(f"file:{quote(str(self.path.absolute()))}?mode=ro&immutable=1", uri=True)
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
        base.text_factory = lambda data: data.decode(errors="replace")
        return base

    def _read_topics(self, base: sqlite3.Connection) -> None:
        tables = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchmany(1000)
        if not {("topics",), ("messages",)} <= set(tables):
            raise InputError(f"{self.name}: a SQLite file without a bag's tables (topics, messages); correct the path")
        for number, name, kind, encoding in base.execute("SELECT id, name, type, serialization_format FROM topics"):
            if not isinstance(number, int) or len(self.topics) == MOST_TOPICS:
                continue
            decode = decode_cdr(str(kind)) if encoding == "cdr" else None
            self.topics[number] = Topic(name=str(name), type=str(kind), encoding=str(encoding), decode=decode)

    def _rows(self, base: sqlite3.Connection) -> Iterator[Part]:
        last, faults = -(2**63), 0
        while faults < MOST_FAULTS:
            try:
                for row in base.execute("SELECT id, topic_id, timestamp, data FROM messages WHERE id > ? ORDER BY id",
                                        (last,)):  # fmt: skip
                    last, faults = row[0], 0
                    yield from self._part(row)
                return
            except FAULTS:
                # A damaged page takes some rows with it; those behind it are found by their number.
                self.lost["damaged rows"] += 1
                faults += 1
                last = max(last, -1) + 1

    def _part(self, row: tuple[object, ...]) -> Iterator[Part]:
        match row:
            case int(number), int(topic), int(time), bytes(data):
                yield Part(offset=number, messages=[Message(topic, time, data)])
            case _:
                self.lost["damaged rows"] += 1


class SplitLog:
    """Several files of one recording as one log; topics and places are numbered across them."""

    def __init__(self, logs: Sequence[MessageLog], missing: int) -> None:
        self.logs = logs
        self.topics: dict[int, Topic] = {}
        self.lost: Counter[str] = Counter({"files of the bag": missing} if missing else {})

    def parts(self) -> Iterator[Part]:
        """Yield the parts of all files, one file after the other."""
        for place, log in enumerate(self.logs):
            for part in log.parts():
                yield Part(offset=part.offset * len(self.logs) + place, messages=self._renamed(place, part.messages))
            self._number(place)
            self.lost.update(log.lost)

    def part(self, offset: int) -> Iterator[Message]:
        """Yield the messages of a part."""
        inner, place = divmod(offset, len(self.logs))
        return self._renamed(place, self.logs[place].part(inner))

    def _number(self, place: int) -> None:
        for key, topic in self.logs[place].topics.items():
            self.topics.setdefault(key * len(self.logs) + place, topic)

    def _renamed(self, place: int, found: Iterable[Message]) -> Iterator[Message]:
        topics = self.logs[place].topics
        for message in found:
            key = message.topic * len(self.logs) + place
            # Topics are named between the messages.
            if key not in self.topics and message.topic in topics:
                self.topics[key] = topics[message.topic]
            yield Message(key, message.log_ns, message.data)


OPENERS = {".mcap": McapLog, ".db3": SqliteLog, ".bag": BagLog}


def is_log(path: Path) -> bool:
    """Return whether a file is one that this reader takes, by its name."""
    suffix = path.suffix.lower()
    packed = suffix in ZSTD_SUFFIXES and path.with_suffix("").suffix.lower() in OPENERS
    return packed or suffix == ".db3"


def is_bag(folder: Path) -> bool:
    """Return whether a folder holds the readable metadata of a recording."""
    return bool(_listed(folder))


def is_split(folder: Path) -> bool:
    """Return whether a folder holds one recording in several files."""
    return len(_listed(folder)) > 1


def split_files(folder: Path) -> list[Path]:
    """Return the files of a recording that is split over several in this folder; empty where it holds none."""
    return _files(folder)[0] if is_split(folder) else []


def _listed(folder: Path) -> list[str]:
    """Return the files that the metadata of a bag name, empty where it is no bag's."""
    if not (folder / METADATA).is_file():
        return []
    try:
        with (folder / METADATA).open(encoding="utf-8") as stream:
            content = stream.read(LARGEST_METADATA)
        names = YAML(typ="safe").load(content)["rosbag2_bagfile_information"]["relative_file_paths"]
        return [Path(name).name for name in names if isinstance(name, str)]
    except (OSError, YAMLError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _files(folder: Path) -> tuple[list[Path], int]:
    """Return the files of a split bag in order, and how many of them are missing."""
    found: list[Path] = []
    names = _listed(folder)
    for name in names:
        bare = name.removesuffix(".zstd").removesuffix(".zst")
        there = [folder / form for form in (name, bare, f"{bare}.zstd", f"{bare}.zst") if (folder / form).is_file()]
        found += there[:1]
    return found, len(names) - len(found)


def _open(path: Path) -> MessageLog:
    if not path.is_dir():
        return _open_file(path)
    files, missing = _files(path)
    if not files:
        raise InputError(f"{path}: none of the files that its {METADATA} names is there; copy the recording again")
    return SplitLog([_open_file(file) for file in files], missing)


def _open_file(path: Path) -> MessageLog:
    inner = unpacked_file(path) if path.suffix.lower() in ZSTD_SUFFIXES else path
    if inner.suffix.lower() not in OPENERS:
        raise InputError(f"{path}: no log by its name; supported are {', '.join(OPENERS)}")
    return OPENERS[inner.suffix.lower()](inner, str(path))


READER = log_reader("rosbag2", lambda path: is_split(path) if path.is_dir() else is_log(path), _open)
