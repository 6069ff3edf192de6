"""Frames per second: each model alone on the machine, several times over the same frames, with the spread."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.children import run_module
from drivelet.core.errors import InputError
from drivelet.core.flow import read_json, write_json
from drivelet.recipes.steps import PredictConfig, asker, pictures
from drivelet.runtime.predict import predict

SPEED = "speed.json"


@flow.stage(1, parts=(predict,))
def speeds(
    config: PredictConfig,
    *,
    models: Mapping[str, Path],
    prompts: Mapping[str, Path | None],
    manifest: Path,
    out: Path,
) -> Path:
    """Time every model in turn in a process of its own; write `out/speed.json`: fps, fps_low and fps_high by name.

    Run it while nothing else runs: two models side by side slow each other down.

    Raises:
        InputError: a model cannot be loaded.
    """
    wanted = {
        "models": {name: str(model) for name, model in models.items()},
        "prompts": {name: str(folder) if folder else None for name, folder in prompts.items()},
        "manifest": str(manifest),
        "config": vars(config),
        "out": str(out / SPEED),
    }
    run_module(__name__, [json.dumps(wanted)], what=f"measuring the speed of {', '.join(models)}")
    return out


def time_model(config: PredictConfig, model: Path, prompts: Path | None, manifest: Path) -> dict[str, Any]:
    """Return frames a second of a model: the median pass, the slowest and the fastest.

    Every pass answers the same `speed_frames` frames, evenly spaced over the manifest; one pass goes ahead uncounted.
    The forward of each frame counts, routing and image processing included, the reading of files does not.
    """
    from drivelet.runtime.engine import Engine
    from drivelet.vlm.load import dtype_named

    fields = tasks.fields()
    found = list(pictures(manifest, fields, list(fields)))
    chosen = found[:: max(len(found) // config.speed_frames, 1)][: config.speed_frames]
    ask, engine = asker(fields, prompts), Engine.from_pretrained(model, dtype=dtype_named(config.dtype))
    rates = []
    for number in range(config.speed_passes + 1):
        lines = predict(engine, chosen, fields=fields, ask=ask)
        times = {line["image"]: line["ms"] for line in lines if "ms" in line}
        if number and times:
            rates.append(1000 * len(times) / sum(times.values()))
    if not rates:
        return {"fps": None, "fps_low": None, "fps_high": None}
    return {"fps": round(median(rates), 3), "fps_low": round(min(rates), 3), "fps_high": round(max(rates), 3)}


def _main(wanted: Mapping[str, Any]) -> None:
    from drivelet.vlm.load import set_threads

    config = PredictConfig(**wanted["config"])
    set_threads(config.threads or None)
    found = {
        name: time_model(
            config,
            Path(model),
            Path(wanted["prompts"][name]) if wanted["prompts"][name] else None,
            Path(wanted["manifest"]),
        )
        for name, model in wanted["models"].items()
    }
    write_json(Path(wanted["out"]), found)


def speed_of(folder: Path, name: str) -> dict[str, Any]:
    """Return what `speeds` found for one model."""
    return read_json(folder / SPEED)[name]


if __name__ == "__main__":
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        _main(json.loads(sys.argv[1]))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
