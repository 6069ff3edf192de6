"""Exports for trainers that read conversations: LLaVA's JSON, and the ShareGPT JSON of LLaMA-Factory and others.

A row becomes one conversation. Rows whose coarse label allows several answers have no single right text and are left
out. Images are referenced where they lie, by absolute path; those that a trainer would show otherwise (EXIF
orientation, 16 bits, rare formats) are written anew, upright, to `out/images`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivelet.core.artifacts import Field
from drivelet.core.flow import write_json
from drivelet.core.manifest import Row
from drivelet.dataset.export_rows import answer, by_split, is_portable, picture, question, write_list

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
        told = _upright(told, out / "images" / split)
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
        told = _upright([row for row in rows if answer(row, fields)], out / "images" / split)
        write_list(out / f"{split}.json", ({"conversations": _turns(r, fields), "images": [r.path]} for r in told))
        info[f"drivelet_{split}"] = {"file_name": f"{split}.json", **SHAREGPT}
    write_json(out / "dataset_info.json", info)
    return out


def _upright(rows: Sequence[Row], folder: Path) -> list[Row]:
    """Return the rows with images that every trainer shows as we do, written to `folder` where those given are not."""
    paths = {row.path: row.path for row in rows}
    for path in paths:
        if not is_portable(path):
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / f"{sum(old != new for old, new in paths.items()):06d}.png"
            place.write_bytes(picture(path)[1])
            paths[path] = str(place.absolute())
    return [replace(row, path=paths[row.path]) for row in rows]


def _turns(row: Row, fields: Mapping[str, Field]) -> list[dict[str, str]]:
    return [
        {"from": "human", "value": f"{IMAGE}\n{question(row, fields)}"},
        {"from": "gpt", "value": answer(row, fields)},
    ]
