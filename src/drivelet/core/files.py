"""Files that a crash leaves whole: JSON written in one piece, folders brought to the disk."""

import json
import os
from pathlib import Path
from typing import Any

from drivelet.core.identity import files_of, plain


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a crash, of the machine too, leaves the old file or the new one, never half of either."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    _flush(path.parent)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def flush_to_disk(folder: Path) -> None:
    """Bring everything beneath a folder to the disk: what is written after it may speak of it."""
    for path in files_of(folder):
        _flush(path)
    for root, _, _ in os.walk(folder):
        _flush(Path(root))


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
