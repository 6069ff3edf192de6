"""Exports: the mixed manifest as LLaVA JSON, or as Parquet that Hugging Face `datasets` opens with images."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from drivelet.core.artifacts import Field
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.tables import chunked

HF_SPLIT = {"train": "train", "val": "validation", "test": "test"}
TEXTS = ("task", "question", "answer", "label", "group", "source", "sensor")
FEATURES: dict[str, Any] = {
    "image": {"_type": "Image"},
    **{name: {"dtype": "string", "_type": "Value"} for name in TEXTS},
    "weight": {"dtype": "float32", "_type": "Value"},
}
SCHEMA = pa.schema(
    [
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        *(pa.field(name, pa.string()) for name in TEXTS),
        pa.field("weight", pa.float32()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": FEATURES}})},
)


def to_llava(manifest: Path, fields: Mapping[str, Field], out: Path) -> Path:
    """Write `out/{split}.json` in LLaVA's layout: one conversation an image and field.

    Rows whose coarse label allows several answers have no single right text and are left out. `image` is absolute.

    Raises:
        InputError: the manifest is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in _by_split(manifest, fields).items():
        records = [_llava(n, row, fields[row.task]) for n, row in enumerate(rows) if _answer(row, fields)]
        (out / f"{split}.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return out


def _llava(number: int, row: Row, field: Field) -> dict[str, Any]:
    question = f"{row.sensor} {field.question}".strip()
    return {
        "id": f"{row.split}-{number:06d}-{row.task}",
        "image": row.path,
        "conversations": [
            {"from": "human", "value": f"<image>\n{question}"},
            {"from": "gpt", "value": next(iter(field.parse(row.label)))},
        ],
    }


def to_parquet(manifest: Path, fields: Mapping[str, Field], out: Path, *, rows_per_group: int = 256) -> Path:
    """Write `out/data/{train,validation,test}-00000-of-00001.parquet`, image files inside, in constant memory.

    The schema carries the `huggingface` metadata, so `datasets.load_dataset("parquet", data_dir=...)` decodes images.
    `answer` is empty where a coarse `label` allows several answers.

    Raises:
        InputError: the manifest is damaged.
    """
    folder = out / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in _by_split(manifest, fields).items():
        target = folder / f"{HF_SPLIT[split]}-00000-of-00001.parquet"
        with pq.ParquetWriter(target, SCHEMA) as writer:
            for chunk in chunked(_records(rows, fields), rows_per_group):
                writer.write_table(pa.Table.from_pylist(chunk, schema=SCHEMA))
    return out


def _records(rows: Sequence[Row], fields: Mapping[str, Field]) -> Iterator[dict[str, Any]]:
    for row in rows:
        path = Path(row.path)
        yield {
            "image": {"bytes": path.read_bytes(), "path": path.name},
            "task": row.task,
            "question": fields[row.task].question,
            "answer": _answer(row, fields),
            "label": row.label,
            "group": row.group,
            "source": row.source,
            "sensor": row.sensor,
            "weight": row.weight,
        }


def _answer(row: Row, fields: Mapping[str, Field]) -> str:
    """The one fine answer that the label allows, or nothing."""
    allowed = fields[row.task].parse(row.label)
    return next(iter(allowed)) if len(allowed) == 1 else ""


def _by_split(manifest: Path, fields: Mapping[str, Field]) -> dict[str, list[Row]]:
    splits: dict[str, list[Row]] = defaultdict(list)
    for row in read_manifest(manifest, tasks=fields):
        splits[row.split].append(row)
    return splits
