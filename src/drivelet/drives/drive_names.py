"""The names of drives that are found together: from their place, unlike each other, fit to be a folder's name."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

from drivelet.drives.reading import DriveSource

PACKED = (".zst", ".zstd", ".lz4", ".gz", ".bz2")
LONGEST = 200
"""Bytes of a name: file systems allow 255, and files are named after a drive."""


def name_drives(drives: Sequence[DriveSource], *, root: Path) -> list[DriveSource]:
    """Return drives ordered by name, each of its own name whatever the case of its letters.

    The name is the path beneath `root` without suffix, its parts joined by `_`. Where two are the same, they get their
    suffix; where they still are (`cam_a/1` and `cam/a_1`), their parts are joined by `__`; at last they are counted.
    """
    names = [_safe("_".join(_parts(source, root))) for source in drives]
    for another in (_with_suffix, _far_joined):
        names = _apart(names, drives, root, another)
    taken: Counter[str] = Counter()
    known = {name.casefold() for name in names}
    for place, name in enumerate(names):
        taken[name.casefold()] += 1
        number = taken[name.casefold()]
        while number > 1 and f"{name}_{number}".casefold() in known:
            number += 1
        if number > 1:
            names[place] = f"{name}_{number}"
            known.add(names[place].casefold())
    named = [replace(source, name=name) for source, name in zip(drives, names, strict=True)]
    return sorted(named, key=lambda source: source.name)


def _apart(
    names: Sequence[str], drives: Sequence[DriveSource], root: Path, another: Callable[[DriveSource, Path], str]
) -> list[str]:
    taken = Counter(name.casefold() for name in names)
    return [
        _safe(another(source, root)) if taken[name.casefold()] > 1 else name
        for name, source in zip(names, drives, strict=True)
    ]


def _parts(source: DriveSource, root: Path) -> list[str]:
    parts = list(source.file.relative_to(root).parts)
    if source.file.is_file():
        parts[-1] = _stem(source.file)
    if source.part:
        return [*parts, source.part]
    return parts or [root.name]


def _stem(file: Path) -> str:
    """A packed log has two suffixes."""
    bare = file.with_suffix("") if file.suffix.lower() in PACKED else file
    return bare.stem


def _suffix(source: DriveSource) -> str:
    rest = source.file.name[len(_stem(source.file)) :] if source.file.is_file() else ""
    return rest.replace(".", "_")


def _with_suffix(source: DriveSource, root: Path) -> str:
    return "_".join(_parts(source, root)) + _suffix(source)


def _far_joined(source: DriveSource, root: Path) -> str:
    return "__".join(_parts(source, root)) + _suffix(source)


def _safe(name: str) -> str:
    """Names come from disks and logs: none leads out of a folder, hides, or is longer than a file system takes."""
    name = re.sub(r"[\x00-\x1f\x7f/\\]", "_", name)
    name = re.sub(r"^\.+", "_", name) or "drive"
    if len(name.encode("utf-8", "replace")) <= LONGEST:
        return name
    digest = blake2b(name.encode("utf-8", "replace"), digest_size=6).hexdigest()
    return f"{name.encode('utf-8', 'replace')[: LONGEST - 13].decode('utf-8', 'ignore')}_{digest}"
