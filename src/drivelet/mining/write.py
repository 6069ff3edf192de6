"""What mining leaves: the list of found frames, their pictures, and a manifest that waits for labels."""

import csv
import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from drivelet.core.artifacts import Frame, ImageArray
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, write_manifest

PICTURES = "mined"
_OURS = re.compile(r"\d{4,}-.*\.jpg")


@dataclass(frozen=True, kw_only=True)
class Mined:
    """A frame that was found: its score, why in words, and the fields that it should be labelled for.

    `split` and `source` go to the manifest: a frame of a held-out image stays held out.
    """

    frame: Frame
    score: float
    why: str
    fields: tuple[str, ...]
    split: str = "train"
    source: str = "drive"


def write_mined(
    found: Sequence[Mined], *, read_frames: Callable[[str, Sequence[int]], Iterable[tuple[int, ImageArray]]], out: Path
) -> Path:
    """Write `mined.jsonl` (best first), `mined/` (JPEGs) and `manifest.csv` (a row a frame and field, no label).

    Frames that cannot be read are left out.

    Raises:
        InputError: `out` holds a manifest with labels in it: someone's work.
    """
    _unlabelled(out / "manifest.csv")
    pictures = out / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    names = {(m.frame.file, m.frame.frame): _name(rank, m.frame) for rank, m in enumerate(found, start=1)}
    written = {names[key] for key in _write_pictures(names, read_frames, pictures)}
    for stale in pictures.iterdir():
        if _OURS.fullmatch(stale.name) and stale.name not in written:
            stale.unlink()
    kept = [(m, name) for m in found if (name := names[m.frame.file, m.frame.frame]) in written]
    partial = out / "mined.jsonl.partial"
    partial.write_text("".join(json.dumps(_line(m, name), ensure_ascii=False) + "\n" for m, name in kept))
    partial.replace(out / "mined.jsonl")
    write_manifest(out / "manifest.csv", [row for m, name in kept for row in _rows(m, str(pictures.absolute() / name))])
    return out / "manifest.csv"


def _unlabelled(manifest: Path) -> None:
    if not manifest.is_file():
        return
    with manifest.open(newline="", encoding="utf-8-sig") as stream:
        if any((row.get("label") or "").strip() for row in csv.DictReader(stream)):
            raise InputError(f"{manifest}: this manifest has labels in it; choose another --out, or move it away")


def _write_pictures(
    names: Mapping[tuple[str, int], str],
    read_frames: Callable[[str, Sequence[int]], Iterable[tuple[int, ImageArray]]],
    folder: Path,
) -> Iterable[tuple[str, int]]:
    wanted: dict[str, list[int]] = defaultdict(list)
    for file, index in names:
        wanted[file].append(index)
    for file, indices in wanted.items():
        for index, image in read_frames(file, sorted(indices)):
            path = folder / names[file, index]
            # No colour subsampling: a far lamp is a few pixels of colour.
            Image.fromarray(image).save(path.with_suffix(".partial"), format="JPEG", quality=95, subsampling=0)
            path.with_suffix(".partial").replace(path)
            yield file, index


def _name(rank: int, frame: Frame) -> str:
    drive = re.sub(r"[^A-Za-z0-9_.-]+", "_", frame.drive)[-60:]
    return f"{rank:04d}-{drive}-{frame.frame:06d}.jpg"


def _line(mined: Mined, name: str) -> dict[str, object]:
    frame = mined.frame
    return {
        "drive": frame.drive,
        "file": frame.file,
        "frame": frame.frame,
        "t": None if math.isnan(frame.t) else frame.t,
        "score": round(mined.score, 6),
        "why": mined.why,
        "image": f"{PICTURES}/{name}",
    }


def _rows(mined: Mined, picture: str) -> list[Row]:
    row = Row(path=picture, task="", label="", split=mined.split, group=mined.frame.drive, source=mined.source)
    return [replace(row, task=name) for name in mined.fields] or [row]
