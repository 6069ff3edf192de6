"""The stage: calibrate, quantise and save a vision-language model, with a report of what each group lost."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from drivelet.core import flow
from drivelet.core.errors import InputError
from drivelet.core.progress import track
from drivelet.core.ranges import Bits, Several, Share, ranged
from drivelet.quantise.answers import Batch, answer_log_probs, compare
from drivelet.quantise.awq import RoundedGroup, quantise_groups
from drivelet.quantise.calibrate import Calibration, calibrate
from drivelet.quantise.decoder import FusedGroup, check_sizes, find_groups
from drivelet.quantise.pack import EXPORT_BITS, packed_bytes, save_packed
from drivelet.quantise.rounding import QuantisedWeight, Rounding
from drivelet.vlm.load import load_model, need_whole, read_config
from drivelet.vlm.lora import stored_dtype

METHODS = ("awq", "rtn")
REPORT = "awq.json"


@dataclass(frozen=True, kw_only=True)
@ranged
class AwqConfig:
    """How a model is quantised.

    Attributes:
        bits: 4 or 8; 3 works in memory only.
        group_size: 32, 64 or 128 inputs a scale; must divide every decoder layer's sizes.
        symmetric: codes around zero without zero points: what every engine's kernels read.
        grid: exponents tried in the scale search.
        clip: search how far ranges may be clipped.
        method: `awq`, or `rtn` (round to nearest, no search).
        search_tokens: tokens that judge a candidate, per group.
        answer_share: weight of the positions that predict answers among all calibration tokens.
    """

    bits: Bits = 4
    group_size: Several = 64
    symmetric: bool = True
    grid: Several = 20
    clip: bool = True
    method: Literal["awq", "rtn"] = "awq"
    search_tokens: Several = 1024
    answer_share: Share = 0.5

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method {self.method!r} is none of {', '.join(METHODS)}")
        if not 0 <= self.answer_share < 1 or self.grid < 1 or self.search_tokens < 1:
            raise InputError("answer_share must lie in [0, 1); grid and search_tokens must be positive")
        Rounding(bits=self.bits, group_size=self.group_size, symmetric=self.symmetric)

    @property
    def rounding(self) -> Rounding:
        """The rounding of every weight."""
        return Rounding(bits=self.bits, group_size=self.group_size, symmetric=self.symmetric)


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """Codes by module name, and the report."""

    weights: dict[str, QuantisedWeight]
    report: dict[str, Any]


def quantise_model(config: AwqConfig, *, model: nn.Module, batches: Iterable[Batch]) -> Quantised:
    """Quantise a loaded model in place; afterwards it computes with the rounded weights.

    Args:
        model: an image-text-to-text model in evaluation mode, adapters merged.
        batches: real multimodal inputs (see `answers.py`); all are held in memory.

    Raises:
        InputError: no decoder, sizes that the group size does not divide, or no batches.
    """
    batches = list(batches)
    groups = find_groups(model)
    check_sizes(groups, config.group_size)
    before_mb = weight_megabytes(model)
    search = config.method == "awq"
    calibration = calibrate(
        model,
        groups,
        batches,
        search_tokens=config.search_tokens,
        answer_share=config.answer_share,
        gram_group_size=config.group_size if search and config.clip else None,
    )
    rounded = _quantise_layers(config, groups, calibration)
    rows = [_row(item, calibration.stats[item.group.path].outlier_ratio) for item in rounded]
    saved = sum(module["bytes_before"] - module["bytes_after"] for row in rows for module in row["modules"].values())
    report = {
        "config": asdict(config),
        "weight_mb": {"before": before_mb, "after": before_mb - saved / 1e6},
        "answers": compare(calibration.log_probs, [answer_log_probs(model, batch) for batch in batches]),
        "groups": rows,
    }
    return Quantised(weights={name: weight for item in rounded for name, weight in item.weights.items()}, report=report)


def _quantise_layers(config: AwqConfig, groups: Sequence[FusedGroup], calibration: Calibration) -> list[RoundedGroup]:
    layers = [list(members) for _, members in groupby(groups, key=lambda group: group.layer)]
    grid = config.grid if config.method == "awq" else 0
    rounded = []
    for members in track(layers, total=len(layers), what=config.method):
        rounded += quantise_groups(members, calibration.stats, config.rounding, grid=grid, clip=config.clip)
        for group in members:
            # What judged this layer is no longer needed; on a large model it is gigabytes.
            calibration.stats[group.path].calls.clear()
            calibration.stats[group.path].gram_GKK = None
    return rounded


def _row(rounded: RoundedGroup, outlier_ratio: float) -> dict[str, Any]:
    return {
        "layer": rounded.group.layer,
        "group": rounded.group.name,
        "parent": rounded.group.path,
        "alpha": rounded.alpha,
        "clipped": rounded.clipped,
        "error_rtn": rounded.error_rtn,
        "error": rounded.error,
        "outlier_ratio": outlier_ratio,
        "modules": {
            name: {"bytes_before": _bytes(rounded.group.linears[name].weight), "bytes_after": packed_bytes(weight)}
            for name, weight in rounded.weights.items()
        },
    }


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def weight_megabytes(model: nn.Module) -> float:
    """Return the size of a model's parameters in MB (10^6 bytes), tied ones once."""
    return sum(_bytes(parameter) for parameter in model.parameters()) / 1e6


@flow.stage()
def quantise(
    config: AwqConfig, *, model_path: Path, batches: Iterable[Batch], out: Path, model: Any | None = None
) -> Path:
    """Quantise the model of a folder and save it to `out` with the report `awq.json`; return `out`.

    Args:
        model_path: folder with the model, its processor and its tokenizer.
        model: the same model already loaded (on any device); it is changed in place. Loaded from the folder otherwise.

    Raises:
        InputError: as `quantise_model`; a width that is not exported; or `model_path` holds no model.
    """
    if config.bits not in EXPORT_BITS:
        raise InputError(f"bits {config.bits}: can be studied in memory only; export takes 4 or 8")
    model_config = read_config(model_path)
    need_whole(model_path)
    whole = load_model(model_path, model_config, stored_dtype(model_path)).eval() if model is None else model
    quantised = quantise_model(config, model=whole, batches=batches)
    out.mkdir(parents=True, exist_ok=True)
    save_packed(whole, quantised.weights, source=model_path, out=out)
    (out / REPORT).write_text(json.dumps(quantised.report, indent=1), encoding="utf-8")
    return out
