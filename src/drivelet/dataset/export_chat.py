"""Exports for trainers that read conversations: LLaVA's JSON, and the ShareGPT JSON of LLaMA-Factory and others.

A row becomes one conversation. Rows whose coarse label allows several answers have no single right text and are left
out. Images are referenced where they lie, by absolute path.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drivelet.core.artifacts import Field
from drivelet.core.flow import write_json
from drivelet.core.manifest import Row
from drivelet.dataset.export_rows import answer, by_split, question, write_list

IMAGE = "<image>"
SHAREGPT = {
    "formatting": "sharegpt",
    "columns": {"messages": "conversations", "images": "images"},
    "tags": {"role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt"},
}
"""How LLaMA-Factory's `dataset_info.json` describes these files."""


def to_llava(manifest: Path, fields: Mapping[str, Field], out: Path) -> Path:
    """Write `out/{split}.json` in LLaVA's layout: `id`, `image`, and `conversations` of a human and a gpt turn.

    Raises:
        InputError: the manifest is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    for split, rows in by_split(manifest, fields).items():
        told = [row for row in rows if answer(row, fields)]
        write_list(out / f"{split}.json", (_llava(n, row, fields) for n, row in enumerate(told)))
    return out


def _llava(number: int, row: Row, fields: Mapping[str, Field]) -> dict[str, Any]:
    name = f"{row.split}-{number:06d}-{row.task}"
    return {"id": name, "image": row.path, "conversations": _turns(row, fields)}


def to_sharegpt(manifest: Path, fields: Mapping[str, Field], out: Path) -> Path:
    """Write `out/{split}.json` with `conversations` and `images`, and `out/dataset_info.json` for LLaMA-Factory.

    Raises:
        InputError: the manifest is damaged.
    """
    out.mkdir(parents=True, exist_ok=True)
    info: dict[str, Any] = {}
    for split, rows in by_split(manifest, fields).items():
        told = (row for row in rows if answer(row, fields))
        write_list(out / f"{split}.json", ({"conversations": _turns(r, fields), "images": [r.path]} for r in told))
        info[f"drivelet_{split}"] = {"file_name": f"{split}.json", **SHAREGPT}
    write_json(out / "dataset_info.json", info)
    return out


def _turns(row: Row, fields: Mapping[str, Field]) -> list[dict[str, str]]:
    return [
        {"from": "human", "value": f"{IMAGE}\n{question(row, fields)}"},
        {"from": "gpt", "value": answer(row, fields)},
    ]
