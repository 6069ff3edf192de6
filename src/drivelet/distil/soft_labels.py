"""The teacher's answers, asked once and kept: exact answer-set distributions and top-k logits of every answer token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from drivelet.core import flow
from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.flow import digest_file, digest_of, digest_text, write_json
from drivelet.core.images import read_image
from drivelet.core.progress import track
from drivelet.core.ranges import Several, Temperatures, ranged
from drivelet.core.tables import append_table, chunked, has_table, read_rows
from drivelet.vlm.answers import TrainingBranch, training_branch
from drivelet.vlm.batch import head, hidden_states, pack
from drivelet.vlm.load import Loaded, load

TABLE = "soft_labels.lance"
TEMPERATURES = "temperatures.json"
"""Beside the table: the temperatures of its `logsumexp` column, in order."""


@dataclass(frozen=True, kw_only=True)
@ranged
class SoftLabelConfig:
    """What is kept of the teacher: `top_k` raw logits an answer token, and their logsumexp at each temperature."""

    top_k: Several = 32
    temperatures: Temperatures = (1.0, 2.0)
    images_per_chunk: Several = 32


@dataclass(frozen=True, kw_only=True)
class Example:
    """One question about one image with its hard label.

    `allowed` are the fine answers that a coarse label permits (only one where the label is fine); `weight` in (0, 1].
    """

    image: str
    field: str
    text: str
    choices: tuple[str, ...]
    allowed: tuple[str, ...]
    weight: float = 1.0


@flow.stage(2)
def cache_soft_labels(
    config: SoftLabelConfig, *, teacher: Path, examples: Sequence[Example], out: Path, loaded: Loaded | None = None
) -> Path:
    """Ask the teacher every example that `out/soft_labels.lance` holds no row for under its key, and append its row.

    A row: `key` (image, question, teacher with processor and template, and what is kept of it), `image`, `field`,
    `text`, `choices`, `answer` (the allowed answer that the teacher likes best), `weight`, `set_logp` (log p of each
    choice), and for each answer token `ids`, `logits` (top-k) and `logsumexp` (one a temperature), flattened.

    Raises:
        InputError: there are no examples, or the teacher's probabilities are NaN or infinite.
    """
    if not examples:
        raise InputError("there is nothing to ask the teacher: the training split is empty; add train rows")
    table = out / TABLE
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / TEMPERATURES, list(config.temperatures))
    loaded = loaded or load(teacher)
    fingerprint = teacher_fingerprint(loaded.path)
    known = {row["key"] for row in read_rows(table, columns=["key"])} if has_table(table) else set[str]()
    keyed = ((example_key(config, fingerprint, example), example) for example in examples)
    groups = _by_image({key: example for key, example in keyed if key not in known})
    for chunk in chunked(track(groups, total=len(groups), what="soft labels"), config.images_per_chunk):
        rows = [row for group in chunk for row in _ask(config, loaded, group)]
        append_table(table, pa.Table.from_pylist(rows, schema=SCHEMA))
    return out


SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("image", pa.string()),
        ("field", pa.string()),
        ("text", pa.string()),
        ("choices", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("weight", pa.float32()),
        ("set_logp", pa.list_(pa.float32())),
        ("ids", pa.list_(pa.int32())),
        ("logits", pa.list_(pa.float32())),
        ("logsumexp", pa.list_(pa.float32())),
    ]
)


def teacher_fingerprint(path: Path) -> str:
    """Return a hash of the teacher's weights, processor and template files."""
    kept = (file for file in sorted(path.iterdir()) if file.suffix in (".json", ".jinja", ".txt", ".safetensors"))
    return digest_text("\n".join(f"{file.name} {digest_file(file)}" for file in kept))


def example_key(config: SoftLabelConfig, fingerprint: str, example: Example) -> str:
    """Return what a row is found by: the picture's content, the question, its labels, the teacher, what is kept."""
    kept = [config.top_k, list(config.temperatures)]
    return digest_of([example, digest_file(Path(example.image)), fingerprint, kept])


def _by_image(examples: Mapping[str, Example]) -> list[dict[str, Example]]:
    groups: dict[str, dict[str, Example]] = {}
    for key, example in examples.items():
        groups.setdefault(example.image, {})[key] = example
    return list(groups.values())


@torch.inference_mode()
def _ask(config: SoftLabelConfig, loaded: Loaded, keyed: Mapping[str, Example]) -> list[dict[str, Any]]:
    group = list(keyed.values())
    image = read_image(group[0].image)
    answers = [example.allowed[0] for example in group]
    if any(len(example.allowed) > 1 for example in group):
        answers = [
            max(example.allowed, key=lambda answer, liked=liked: liked[answer])
            for example, (liked, _) in zip(group, _answer_logits(loaded, image, group, answers)[1], strict=True)
        ]
    _, told = _answer_logits(loaded, image, group, answers)
    rows = []
    for key, example, answer, (logp, logits_NV) in zip(keyed, group, answers, told, strict=True):
        top = logits_NV.topk(min(config.top_k, logits_NV.shape[-1]))
        lse_NT = torch.stack([(logits_NV / t).logsumexp(-1) for t in config.temperatures], 1)
        if not (np.isfinite(list(logp.values())).all() and lse_NT.isfinite().all()):
            raise InputError(
                f"{loaded.path}: {example.field} on {example.image} has NaN probabilities; the teacher is damaged"
            )
        rows.append(
            {
                "key": key,
                "image": example.image,
                "field": example.field,
                "text": example.text,
                "choices": list(example.choices),
                "answer": answer,
                "weight": example.weight,
                "set_logp": [logp[choice] for choice in example.choices],
                "ids": top.indices.flatten().tolist(),
                "logits": top.values.flatten().tolist(),
                "logsumexp": lse_NT.flatten().tolist(),
            }
        )
    return rows


def _answer_logits(
    loaded: Loaded, image: ImageArray, group: Sequence[Example], answers: Sequence[str]
) -> tuple[list[TrainingBranch], list[tuple[Mapping[str, float], torch.Tensor]]]:
    """Return for each example its branch, log p of every choice, and the logits (tokens, V) that spell its answer."""
    branches = [
        training_branch(loaded.processor, example.text, example.choices, answer)
        for example, answer in zip(group, answers, strict=True)
    ]
    packed = pack(loaded, image, [branch.nodes for branch in branches]).to(loaded.device)
    hidden_LD, told = hidden_states(loaded.model, packed)[0], []
    for start, branch in zip(branch_rows(packed, branches), branches, strict=True):
        rows = start + torch.tensor(branch.decisions + branch.path)
        decided_NV, path_NV = (
            head(loaded.model)(hidden_LD[rows]).float().split([len(branch.decisions), len(branch.path)])
        )
        logp_C = branch.trie.log_probs(decided_NV.log_softmax(-1))
        told.append((dict(zip(branch.trie.choices, logp_C.tolist(), strict=True)), path_NV))
    return branches, told


def branch_rows(packed: Any, branches: Sequence[TrainingBranch]) -> list[int]:
    """Return the row of the packed sequence (one image) at which each branch starts."""
    start, rows = int((packed.branch_BL[0] == -1).sum()), []
    for branch in branches:
        rows.append(start)
        start += len(branch.nodes)
    return rows
