"""Compressed bytes, unpacked up to a stated size: a few kilobytes may hold gigabytes of zeros."""

import atexit
import bz2
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import lz4.frame
import zstandard

from drivelet.core.errors import InputError

MIB = 1 << 20
LARGEST = 256 * MIB
"""Bytes of one chunk, message or picture; an uncompressed 8K picture has 100 MiB."""
KEPT_MEMBERS = 8
LARGEST_RATIO = 1000
"""A whole file is unpacked to this many times its size at most."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_SUFFIXES = (".zstd", ".zst")
OPENERS: dict[str, Callable[[Any], Any]] = {
    "bz2": bz2.open,
    "lz4": lz4.frame.open,
    "zstd": lambda stream: zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True),
}
FAULTS = (OSError, EOFError, RuntimeError, ValueError, zstandard.ZstdError)
"""What decompressors raise on damaged bytes."""


class TooLargeError(ValueError):
    """Something unpacks to more than its limit; the text says what and how much."""


def check_size(size: int, what: str, *, limit: int = LARGEST) -> None:
    """Refuse a size that a file promises before anything is read for it.

    Raises:
        TooLargeError: it is beyond the limit.
    """
    if size > limit:
        raise TooLargeError(f"{what} of more than {limit // MIB} MiB")


def unpack(compression: str, data: bytes, *, what: str, size: int | None = None) -> bytes | bytearray:
    """Return bytes unpacked from `bz2`, `lz4`, `zstd` or nothing (`none`, empty).

    Args:
        compression: its name.
        data: the packed bytes.
        what: the plural that a refusal names.
        size: how many bytes it must be, where this is known.

    Raises:
        TooLargeError: it is more than `LARGEST` bytes.
        ValueError: damaged, of another size, or packed in an unknown way.
    """
    check_size(size or 0, what)
    found = data if compression in ("", "none") else _read(compression, data, what, size)
    if size is not None and len(found) != size:
        raise ValueError(f"{len(found)} bytes where {size} are promised")
    return found


def _read(compression: str, data: bytes, what: str, size: int | None) -> bytes | bytearray:
    if compression not in OPENERS:
        raise ValueError(f"compression {compression!r} is not supported; known are {', '.join(OPENERS)}")
    # Where the size is promised, the bytes are put where they stay: nothing is held twice.
    found = bytearray(size or 0)
    length = 0
    try:
        with OPENERS[compression](BytesIO(data)) as stream:
            while block := stream.read(MIB):
                found[length : length + len(block)] = block
                length += len(block)
                check_size(length, what)
    except TooLargeError:
        raise
    except FAULTS as error:
        raise ValueError(f"damaged {compression} data ({error})") from error
    return found[:length] if length < len(found) else found


def unzstd(data: bytes, *, what: str) -> bytes:
    """Return a message without its zstd compression, or as it is where it has none.

    Raises:
        TooLargeError: it is more than `LARGEST` bytes.
        ValueError: damaged.
    """
    if data[:4] != ZSTD_MAGIC:
        return data
    try:
        promised = zstandard.frame_content_size(data)
    except zstandard.ZstdError as error:
        raise ValueError(f"damaged zstd data ({error})") from error
    check_size(promised, what)
    return bytes(unpack("zstd", data, what=what, size=promised if promised > 0 else None))


def unpacked_file(path: Path) -> Path:
    """Return a file without its zstd compression, in a temporary folder that goes when the process ends.

    Raises:
        InputError: it is damaged, missing, or unpacks to more than its limit.
    """
    try:
        stat = path.stat()
        return _unpacked(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; correct the path") from error


@lru_cache(maxsize=2)
def _room() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="drivelet-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@lru_cache
def _unpacked(path: Path, size: int, changed_ns: int) -> Path:
    target = _room() / f"{len(list(_room().iterdir()))}-{path.stem}"
    try:
        with path.open("rb") as packed, OPENERS["zstd"](packed) as stream:
            _copy(stream, target, str(path), size)
    except zstandard.ZstdError as error:
        # What came before the damage is read like a log that a crash cut off.
        if not target.is_file() or not target.stat().st_size:
            target.unlink(missing_ok=True)
            raise InputError(f"{path}: no readable zstd file ({error}); copy the recording again, whole") from error
    return target


def unpacked_member(archive: Path, member: str) -> Path:
    """Return a file of a ZIP archive, unpacked into the same temporary folder; only the last few are kept there.

    Raises:
        InputError: archive or member is damaged or missing, or it unpacks to more than its limit.
    """
    folder = _room() / "members"
    part = folder / "part"
    try:
        changed_ns = archive.stat().st_mtime_ns
        digest = blake2b(f"{archive}\0{changed_ns}\0{member}".encode(), digest_size=12).hexdigest()
        target = folder / f"{digest}{Path(member).suffix}"
        if target.is_file():
            return target
        folder.mkdir(exist_ok=True)
        for old in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)[: -KEPT_MEMBERS + 1]:
            old.unlink()
        with zipfile.ZipFile(archive) as files, files.open(member) as stream:
            _copy(stream, part, f"{archive}/{member}", files.getinfo(member).compress_size)
    except (zipfile.BadZipFile, zlib.error, *FAULTS, KeyError, NotImplementedError) as error:
        raise InputError(f"{archive}/{member}: it cannot be unpacked ({error}); download it again") from error
    return part.rename(target)


def _copy(stream: Any, target: Path, what: str, packed: int) -> None:
    """Write what a stream unpacks to, up to `LARGEST_RATIO` times its packed size or half of the room on the disk."""
    free = shutil.disk_usage(target.parent).free // 2
    limit = min(LARGEST_RATIO * packed, free)
    with target.open("wb") as out:
        while block := stream.read(MIB):
            if out.tell() + len(block) > limit:
                target.unlink()
                why = f"half of what is free in {target.parent}" if limit == free else f"{LARGEST_RATIO} times its size"
                raise InputError(f"{what}: it unpacks to more than {limit / 1e9:.3g} GB ({why}); unpack it by hand")
            out.write(block)
