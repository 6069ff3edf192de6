"""What study `data` trains on: real images (or their stand-in), one cleaned mix, the part of it that an arm sees."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.core.tables import read_table, write_table
from drivelet.dataset.sources import SYNTHETIC
from drivelet.distil.soft_labels import TABLE, TEMPERATURES

REAL, PAINT, RENDER = "real", "paint", "render"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One training set.

    Attributes:
        name: says what it holds.
        sources: which sources it takes.
        steps: how many times the steps of the others it gets.
        few: takes a tenth of the real images alone.
        over: the arm that its gain is measured against.
    """

    name: str
    sources: tuple[str, ...]
    steps: int = 1
    few: bool = False
    over: str = "real"


BASE, FEW = "real", "tenth of real"
FEW_SHARE = 0.1
ARMS = (
    Arm(name=BASE, sources=(REAL,)),
    Arm(name="real x2 steps", sources=(REAL,), steps=2),
    Arm(name="real + T2I", sources=(REAL, PAINT)),
    Arm(name="real + render", sources=(REAL, RENDER)),
    Arm(name="all", sources=(REAL, PAINT, RENDER)),
    Arm(name=FEW, sources=(REAL,), few=True),
    Arm(name=f"{FEW} + render", sources=(REAL, RENDER), few=True, over=FEW),
)


@flow.stage()
def stand_in(config: Mapping[str, Any], *, drives: Path, out: Path) -> Path:
    """Write `out/train.csv` and `out/test.csv` of simulated drives that stand in for real ones; a drive is a group.

    Raises:
        InputError: no drive fell to train, or none to test.
    """
    rows = [replace(row, source="real:stand-in") for row in read_manifest(drives, tasks=tasks.fields())]
    for split in ("train", "test"):
        here = [row for row in rows if row.split == split]
        if not here:
            raise InputError(f"study data: no drive fell to {split}; set drives.num_drives or drives.test higher")
        write_manifest(out / f"{split}.csv", here)
    return out


@flow.stage()
def few_real(config: float, *, manifest: Path, out: Path) -> Path:
    """Write `out/manifest.csv`: the rows of a mix, of its real training images a share alone.

    Args:
        config: the share; of every label as many images at even distances in order of path, at least one.
        manifest: the mix.
        out: gets the file.
    """
    rows = read_manifest(manifest, tasks=tasks.fields())
    images: dict[tuple[str, str], list[str]] = {}
    for row in sorted(rows, key=lambda row: row.path):
        if _trains_on_real(row):
            images.setdefault((row.task, row.label), []).append(row.path)
    kept = {path for paths in images.values() for path in paths[:: max(1, round(1 / config))]}
    write_manifest(out / "manifest.csv", [row for row in rows if row.path in kept or not _trains_on_real(row)])
    return out


def _trains_on_real(row: Row) -> bool:
    return row.split == "train" and source_of(row) == REAL


@flow.stage()
def arm_labels(config: Sequence[str], *, soft_labels: Path, manifest: Path, out: Path) -> Path:
    """Write the soft labels of the images from some sources, in the form of `cache_soft_labels`.

    Args:
        config: names of sources.
        soft_labels: the soft labels of the whole mix.
        manifest: the mix, whose `source` says where an image is from.
        out: gets the table and its temperatures.
    """
    rows = read_manifest(manifest, tasks=tasks.fields())
    images = {row.path for row in rows if row.split == "train" and source_of(row) in config}
    return keep_images(images, soft_labels, out)


def keep_images(images: Collection[str], soft_labels: Path, out: Path) -> Path:
    """Write the soft labels of some images to `out`, their temperatures beside them."""
    table = read_table(soft_labels / TABLE)
    kept = pa.array([image in images for image in table["image"].to_pylist()], pa.bool_())
    write_table(out / TABLE, table.filter(kept))
    flow.write_json(out / TEMPERATURES, flow.read_json(soft_labels / TEMPERATURES))
    return out


def source_of(row: Row) -> str:
    """Return `real`, `paint` or `render` for a row of a mix."""
    origin = row.source.split(":")[0]
    return origin if origin in SYNTHETIC else REAL


def scenes_of(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return the finished scene of every rendered image: those of the `scenes.jsonl` beside its folder of frames."""
    folders = {Path(row.path).parent.parent for row in rows}
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(folder / "scenes.jsonl" for folder in folders if (folder / "scenes.jsonl").is_file()):
        with file.open(encoding="utf-8") as stream:
            for scene in map(json.loads, stream):
                found[str(file.parent / scene["image"])] = {k: scene[k] for k in ("facts", "objects")}
    return found
