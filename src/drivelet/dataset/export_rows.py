"""What every export needs: rows by split, images with their rows, questions and answers, and JSON lists in a stream."""

import io
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from drivelet.core.artifacts import Field
from drivelet.core.images import is_plain, read_image
from drivelet.core.manifest import Row, read_manifest

PORTABLE = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm")


def by_split(manifest: Path, fields: Mapping[str, Field]) -> dict[str, list[Row]]:
    """Read a manifest's rows by split.

    Raises:
        InputError: the manifest is damaged.
    """
    splits: dict[str, list[Row]] = defaultdict(list)
    for row in read_manifest(manifest, tasks=fields):
        splits[row.split].append(row)
    return splits


def by_image(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of every image, in order of first appearance."""
    images: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        images[row.path].append(row)
    return images


def picture(path: str) -> tuple[str, bytes]:
    """Return (suffix, bytes) of an image as every trainer shows it.

    The file's own bytes where any reader sees what we do; else (EXIF orientation, 16 bits, a rare format) a PNG of what
    we see, which bears no orientation that a trainer would apply once more.

    Raises:
        InputError: the image cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if is_portable(path):
        return suffix, Path(path).read_bytes()
    stream = io.BytesIO()
    Image.fromarray(read_image(path)).save(stream, format="PNG")
    return ".png", stream.getvalue()


def is_portable(path: str) -> bool:
    """Return whether an image serves every trainer as it lies there."""
    return Path(path).suffix.lower() in PORTABLE and is_plain(path)


def answer(row: Row, fields: Mapping[str, Field]) -> str:
    """Return the one fine answer that the label allows, or nothing."""
    allowed = fields[row.task].parse(row.label)
    return next(iter(allowed)) if len(allowed) == 1 else ""


def question(row: Row, fields: Mapping[str, Field]) -> str:
    """Return the canonical question, the sensors' text before it where there is one."""
    return f"{row.sensor} {fields[row.task].question}".strip()


def write_list(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON list whole or not at all, one record a line, without holding it in memory."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as stream:
        stream.write("[")
        for number, record in enumerate(records):
            stream.write((",\n" if number else "\n") + json.dumps(record, ensure_ascii=False))
        stream.write("\n]\n")
    partial.replace(path)
