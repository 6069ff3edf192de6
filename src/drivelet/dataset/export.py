"""Exports of a mixed manifest by name, each as the format's own library reads it."""

from collections.abc import Mapping
from pathlib import Path

from drivelet.core.artifacts import Field
from drivelet.dataset.export_chat import to_llava, to_sharegpt
from drivelet.dataset.export_coco import to_coco
from drivelet.dataset.export_parquet import to_parquet
from drivelet.dataset.export_webdataset import to_webdataset

FORMATS = {
    "parquet": to_parquet,
    "llava": to_llava,
    "sharegpt": to_sharegpt,
    "coco": to_coco,
    "webdataset": to_webdataset,
}


def export(name: str, manifest: Path, fields: Mapping[str, Field], out: Path) -> Path:
    """Write a manifest in one of `FORMATS`; return the folder.

    Raises:
        InputError: the manifest is damaged.
    """
    return FORMATS[name](manifest, fields, out)
