"""Identity: what a file, a folder or a value is known by, which is its content; never its name, size or age."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, cast

from drivelet.core.errors import InputError

MANIFEST = "manifest.json"
"""Written last into the folder of a stage: present means complete."""
RUN = "run.json"
"""What made an output folder, beside its files."""
STAGES = "stages"
"""Where in an output folder the stages lie that made it."""
STAGE_KEYS = ("key", "stage", "version", "config", "inputs", "digests")
_digests: dict[tuple[int, ...], str] = {}


def digest_text(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of(value: Any) -> str:
    """Return the SHA-256 of plain JSON data, whatever the order of its keys."""
    return digest_text(json.dumps(plain(value), sort_keys=True))


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; a file that the system says is untouched is read once a process.

    Raises:
        InputError: it cannot be read.
    """
    try:
        stat = path.stat()
        # The time of change cannot be set by hand, as that of modification can.
        seen = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        if seen not in _digests:
            with path.open("rb") as stream:
                _digests[seen] = hashlib.file_digest(stream, "sha256").hexdigest()
        return _digests[seen]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); correct its permissions") from error


def plain(value: Any) -> Any:
    """Return dataclasses, paths and tuples as plain JSON data."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **{k: plain(v) for k, v in asdict(value).items()}}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [plain(v) for v in cast("Iterable[Any]", value)]
        return sorted(items) if isinstance(value, (set, frozenset)) else items
    return str(value) if isinstance(value, Path) else value


def identify(value: Any) -> Any:
    """Return what an input is known by: a finished stage's key, a file's or folder's content, or the value itself.

    A manifest of images (a CSV with a column `path`) is known by its text and by the place and content of its images.

    Raises:
        InputError: a file cannot be read, or one of a finished stage was changed since.
    """
    if isinstance(value, Path):
        return identify_path(value)
    if isinstance(value, (list, tuple)):
        return [identify(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping):
        return {str(k): identify(v) for k, v in cast("Mapping[Any, Any]", value).items()}
    return plain(value)


def identify_path(path: Path) -> str:
    """Return what a path is known by; one inside a finished stage's folder by that stage's key and its place there."""
    for folder in (path, *path.absolute().parents):
        if (known := read_stage(folder)) is not None:
            place = os.path.relpath(path.absolute(), folder.absolute())
            check_unchanged(folder, known["digests"], beneath=place)
            return f"{known['key']}:{place}"
    return _content(path)


def _content(path: Path) -> str:
    if path.is_file():
        return _identify_file(path)
    if path.is_dir():
        return digest_text("\n".join(f"{file.relative_to(path)} {_identify_lenient(file)}" for file in files_of(path)))
    return str(path)


def drive_id(file: str | Path) -> str:
    """Return what a drive is known by, whatever it is called and wherever it lies: a digest of its recording's content.

    Args:
        file: what the `file` column of its frames names: a video, a folder of images or a log, or one with `#part`.
    """
    path, part = split_part(str(file))
    return digest_text(f"{_content(path)} {part}")[:16]


def split_part(file: str) -> tuple[Path, str]:
    """Split `path#part` at the first `#` before which a path exists."""
    place = file.find("#")
    while place >= 0 and not _exists(file):
        if _exists(file[:place]):
            return Path(file[:place]), file[place + 1 :]
        place = file.find("#", place + 1)
    return Path(file), ""


def _exists(file: str) -> bool:
    """A path with the name of a topic or scene behind it may be longer than any file's."""
    try:
        return Path(file).exists()
    except OSError:
        return False


def _identify_lenient(path: Path) -> str:
    """One file of a folder that cannot be read is for the folder's reader to name."""
    try:
        return _identify_file(path)
    except InputError:
        return "unreadable"


def _identify_file(path: Path) -> str:
    own = digest_file(path)
    images = list(_listed_images(path)) if path.suffix.lower() == ".csv" else []
    if not images:
        return own
    return digest_text("\n".join([own, *(f"{image} {digest_file(image)}" for image in images)]))


def _listed_images(manifest: Path) -> Iterator[Path]:
    """Yield the images of a manifest, each once; of another CSV nothing. What is wrong is for its reader to say."""
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            if "path" not in (rows.fieldnames or ()):
                return
            names = dict.fromkeys(str(row["path"] or "").strip() for row in rows)
    except (UnicodeDecodeError, csv.Error):
        return
    for image in (manifest.absolute().parent / name for name in names if name and "\0" not in name):
        if image.is_file():
            yield image


def files_of(folder: Path) -> list[Path]:
    """Return the regular files beneath a folder, in order, without those that only keep account of how it was made.

    Links to folders are not followed.
    """
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        account = (MANIFEST, RUN, STAGES) if RUN in names else (MANIFEST,)
        folders[:] = [name for name in folders if name not in account]
        found += [Path(root, name) for name in names if name not in account]
    return sorted(path for path in found if path.is_file())


def read_stage(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a finished stage's folder; None where there is none."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return None
    try:
        known: Any = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return cast("dict[str, Any]", known) if isinstance(known, dict) and all(k in known for k in STAGE_KEYS) else None


def check_unchanged(folder: Path, digests: Mapping[str, str], *, beneath: str = ".") -> None:
    """Compare the files of a finished stage with what its manifest says of them.

    Args:
        folder: the stage's folder.
        digests: SHA-256 by path relative to `folder`.
        beneath: check this file, or the files of this folder, alone.

    Raises:
        InputError: a file is gone, is new, or is not what it was.
    """
    start = folder / beneath
    there = {os.path.relpath(path, folder) for path in (files_of(start) if start.is_dir() else [start])}
    meant = {name for name in digests if beneath == "." or name == beneath or name.startswith(f"{beneath}{os.sep}")}
    for name in sorted(there | meant):
        if name not in there or name not in digests or digest_file(folder / name) != digests[name]:
            raise InputError(
                f"{folder / name}: changed after it was written; remove {folder} to make it anew, or keep what you "
                "changed under another name and give that"
            )
