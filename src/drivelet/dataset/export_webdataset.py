"""Export as WebDataset: tar shards of an image and a JSON file a sample, read in one stream."""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drivelet.core.artifacts import Field
from drivelet.core.manifest import Row
from drivelet.core.tables import chunked
from drivelet.dataset.export_rows import answer, by_image, by_split, picture, question


def to_webdataset(manifest: Path, fields: Mapping[str, Field], out: Path, *, images_per_shard: int = 1000) -> Path:
    """Write `out/{split}-000000.tar` and on: per image `KEY.png` (or .jpg, its bytes) and `KEY.json`.

    The JSON holds the file's name and `rows`: every row of the image with its question and its one answer (empty where
    a coarse label allows several). Equal manifests give equal bytes.

    Raises:
        InputError: the manifest is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in by_split(manifest, fields).items():
        number = 0
        shards: list[Path] = []
        for shard, images in enumerate(chunked(by_image(rows).items(), images_per_shard)):
            target = out / f"{split}-{shard:06d}.tar"
            partial = target.with_suffix(".partial")
            with tarfile.open(partial, "w") as tar:
                for path, of_image in images:
                    _add(tar, f"{split}{number:08d}", Path(path), of_image, fields)
                    number += 1
            shards.append(partial.replace(target))
        for stale in set(out.glob(f"{split}-*.tar")) - set(shards):
            stale.unlink()
    return out


def _add(tar: tarfile.TarFile, key: str, path: Path, rows: list[Row], fields: Mapping[str, Field]) -> None:
    told = [_told(row, fields) for row in rows]
    sample = json.dumps({"file": path.name, "rows": told}, ensure_ascii=False).encode()
    for suffix, content in (picture(str(path)), (".json", sample)):
        entry = tarfile.TarInfo(key + suffix)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


def _told(row: Row, fields: Mapping[str, Field]) -> dict[str, Any]:
    facts = {name: value for name, value in asdict(row).items() if name != "path"}
    return {**facts, "question": question(row, fields), "answer": answer(row, fields)}
