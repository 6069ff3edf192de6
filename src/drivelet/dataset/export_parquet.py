"""Export as Parquet that Hugging Face `datasets` opens with decoded images."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drivelet.core.artifacts import Field
from drivelet.core.manifest import Row
from drivelet.core.tables import chunked
from drivelet.dataset.export_rows import answer, by_split, picture

HF_SPLIT = {"train": "train", "val": "validation", "test": "test"}
TEXTS = ("task", "question", "answer", "label", "group", "boxes", "trust", "source", "licence", "sensor")
FEATURES: dict[str, Any] = {
    "image": {"_type": "Image"},
    **{name: {"dtype": "string", "_type": "Value"} for name in TEXTS},
    "weight": {"dtype": "float64", "_type": "Value"},
}
SCHEMA = pa.schema(
    [
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        *(pa.field(name, pa.string()) for name in TEXTS),
        pa.field("weight", pa.float64()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})},
)


def to_parquet(manifest: Path, fields: Mapping[str, Field], out: Path, *, rows_per_group: int = 256) -> Path:
    """Write `out/data/{train,validation,test}-00000-of-00001.parquet`, image files inside, in constant memory.

    The schema carries the `huggingface` metadata, so `datasets.load_dataset(out)` decodes images; the card beside the
    manifest comes along, so that `out` is a dataset repository as it is. `answer` is empty where a coarse `label`
    allows several answers.

    Raises:
        InputError: the manifest is damaged.
    """
    folder = out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in by_split(manifest, fields).items():
        target = folder / f"{HF_SPLIT[split]}-00000-of-00001.parquet"
        partial = target.with_suffix(".partial")
        with pq.ParquetWriter(partial, SCHEMA) as writer:
            for chunk in chunked(_records(rows, fields), rows_per_group):
                writer.write_table(pa.Table.from_pylist(chunk, schema=SCHEMA))
        partial.replace(target)
    card = manifest.parent / "README.md"
    if card.is_file():
        shutil.copyfile(card, out / "README.md")
    return out


def _records(rows: Sequence[Row], fields: Mapping[str, Field]) -> Iterator[dict[str, Any]]:
    # Rows of one image lie near each other.
    shown = lru_cache(maxsize=16)(picture)
    for row in rows:
        suffix, content = shown(row.path)
        facts = {name: getattr(row, name) for name in TEXTS if name not in ("question", "answer")}
        yield {
            "image": {"bytes": content, "path": Path(row.path).stem + suffix},
            "question": fields[row.task].question,
            "answer": answer(row, fields),
            "weight": row.weight,
            **facts,
        }
