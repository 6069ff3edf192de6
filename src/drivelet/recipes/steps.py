"""The joints between rooms: each function hands what one room made to the next. Commands and the loop share them."""

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import Any, Literal

from drivelet import tasks
from drivelet.adapters.blender import worker_code
from drivelet.core import flow
from drivelet.core.artifacts import Field, ImageArray, Prompt, Question
from drivelet.core.children import run_module
from drivelet.core.damage import readable_rows
from drivelet.core.errors import InputError
from drivelet.core.identity import read_stage
from drivelet.core.images import SUFFIXES, read_image
from drivelet.core.machine import package_versions
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.core.progress import say
from drivelet.core.ranges import Several, Threads, ranged
from drivelet.drives.frames import DEFAULT_IMAGE_FPS
from drivelet.drives.readers import open_pictures
from drivelet.drives.video import SUFFIXES as VIDEO_SUFFIXES
from drivelet.prompts.library import canonical, render_question
from drivelet.prompts.router import SignalRouter, load_router
from drivelet.prompts.signals import image_signals
from drivelet.runtime.partial import Picture
from drivelet.runtime.predict import Ask, predict, write_predictions

GOLD = {"gold": tasks.gold}
GOLD_VERSION = {"gold": flow.version_of(tasks.gold), "worker": worker_code()}
"""What renders are given as context, and what of it and of the worker's code enters their key."""


def place_of(source: Path) -> dict[str, str]:
    """Return what the tables of an ingested drive depend on beside its content: they name it, and say where it lies.

    A drive that a stage made is known by that stage.
    """
    made = any(read_stage(folder) for folder in (source, *source.absolute().parents))
    return {"place": "" if made else str(source.absolute())}


@dataclass(frozen=True, kw_only=True)
@ranged
class PredictConfig:
    """How models are measured.

    Attributes:
        blind: also answer grey images.
        threads: CPU threads; 0 takes every core.
        dtype: of the weights of every model alike; auto is bfloat16 where the machine has it, float32 elsewhere.
        speed_frames: frames of a pass that is timed; `speed_passes` such passes are made.
    """

    blind: bool = True
    threads: Threads = 0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    speed_frames: Several = 16
    speed_passes: Several = 5


def one_dtype(config: PredictConfig) -> PredictConfig:
    """Return the configuration with the machine's dtype in place of auto, so that it stands in a stage's key."""
    from drivelet.vlm.load import dtype_name

    return replace(config, dtype=dtype_name(config.dtype))


def asker(fields: Mapping[str, Field], prompts: Path | None) -> Ask:
    """Return what turns an image into questions: the router of a prompts folder, or every canonical question."""
    router = load_router(prompts, fields) if prompts else None
    plain = {prompt.field: prompt for prompt in canonical(fields)}

    def ask(image: ImageArray, names: Sequence[str], sensor: str) -> Mapping[str, Question | None]:
        chosen: Mapping[str, Prompt | None] = router.route(image_signals(image)) if router else plain
        return {
            name: render_question(prompt, fields[name], sensor) if (prompt := chosen[name]) else None for name in names
        }

    return ask


def training_question(router: SignalRouter, signals: Mapping[str, float], row: Row, field: Field) -> Question:
    """Return the question that a training row is asked: the router's prompt, never left out."""
    prompt = router.route({**signals, f"previous:{field.name}": 1.0})[field.name]
    if prompt is None:
        raise ValueError(f"{field.name}: the router left out a field that was seen before")
    return render_question(prompt, field, row.sensor)


def pictures(source: Path, fields: Mapping[str, Field], names: Sequence[str]) -> list[Picture] | Iterator[Picture]:
    """Return what `predict` answers: an image, a folder of images, a video, or a manifest's images.

    Raises:
        InputError: nothing that can be answered is there.
    """
    if source.is_dir():
        found = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
        if not found:
            raise InputError(
                f"{source}: no image in this folder; give a folder of images, an image, a video or a manifest"
            )
        return [_still(path, names) for path in found]
    if not source.is_file():
        raise InputError(f"{source}: no such file or folder; give an image, a folder, a video or a manifest")
    if source.suffix.lower() == ".csv":
        return _listed(source, fields, names)
    if source.suffix.lower() in VIDEO_SUFFIXES:
        return _video_frames(source, names)
    if source.suffix.lower() in SUFFIXES:
        return [_still(source, names)]
    raise InputError(f"{source}: neither an image, a video nor a manifest by its name; rename it or convert it")


def _still(path: Path, names: Sequence[str], sensor: str = "") -> Picture:
    def read() -> ImageArray:
        if not path.is_file():  # a pipe or a device would be waited for
            raise InputError(f"{path}: no regular file; remove it")
        return read_image(path)

    return Picture(path=str(path), frame=None, fields=tuple(names), read=read, sensor=sensor)


def _video_frames(source: Path, names: Sequence[str]) -> Iterator[Picture]:
    """Yield every frame that the video holds; reading one that does not decode is an InputError."""
    shown = open_pictures(source, fps=DEFAULT_IMAGE_FPS)
    indices = iter(sorted(shown.frames))
    for index, image in shown.read(shown.frames):
        yield from (_lost(source, lost, names) for lost in takewhile(lambda held, index=index: held != index, indices))
        yield Picture(path=str(source), frame=index, fields=tuple(names), read=lambda image=image: image)
    yield from (_lost(source, lost, names) for lost in indices)
    if shown.lost:
        say(f"{source}: {shown.lost} frames that it promises are not there; copy the file again")


def _lost(source: Path, index: int, names: Sequence[str]) -> Picture:
    def read() -> ImageArray:
        raise InputError(f"{source} frame {index}: it cannot be decoded; copy the file again")

    return Picture(path=str(source), frame=index, fields=tuple(names), read=read)


def _listed(manifest: Path, fields: Mapping[str, Field], names: Sequence[str]) -> Iterator[Picture]:
    """One picture an image, asked for the fields of its rows (all of them where a row names none)."""
    asked: dict[tuple[str, str], list[str]] = {}
    for row in read_manifest(manifest, tasks=fields, need_labels=False):
        wanted = asked.setdefault((row.path, row.sensor), [])
        wanted += [name for name in ([row.task] if row.task else names) if name not in wanted and name in names]
    if not any(asked.values()):
        raise InputError(f"{manifest}: no row asks for {', '.join(names)}; name other --tasks, or none")
    return (_still(Path(path), wanted, sensor) for (path, sensor), wanted in asked.items() if wanted)


def identity_of(settings: Mapping[str, Any], inputs: Mapping[str, Path | None]) -> str:
    """Return the digest of all that predictions depend on: settings, model, prompts and pictures, and the code."""
    places = {name: str(path) for name, path in inputs.items()}
    code = [flow.version_of(predict), package_versions()]
    return flow.digest_of([settings, places, flow.identify(inputs), code])


@flow.stage(1, parts=(predict,))
def measure(config: PredictConfig, *, model: Path, manifest: Path, prompts: Path | None, key: str, out: Path) -> Path:
    """Predict a manifest in a process of its own, so that its peak memory is the model's; write `out/preds.jsonl`.

    `key` only enters the stage's key (a name may stand for several models).
    """
    # A killed run leaves its child behind, which may still be writing: every attempt has a folder of its own.
    for stale in out.glob("attempt-*"):
        shutil.rmtree(stale, ignore_errors=True)
    attempt = Path(tempfile.mkdtemp(prefix="attempt-", dir=out))
    predictions = str(attempt / "preds.jsonl")
    command = ["predict", str(model), str(manifest), "--out", predictions]
    command += ["--prompts", str(prompts)] if prompts else []
    command += ["--blind"] if config.blind else []
    command += ["--threads", str(config.threads)] if config.threads else []
    command += ["--dtype", config.dtype]
    run_module("drivelet.cli", command, what=f"predict {key}")
    for file in attempt.iterdir():
        file.replace(out / file.name)
    attempt.rmdir()
    return out / "preds.jsonl"


@flow.stage(1, parts=(predict,))
def answer_rows(config: Mapping[str, Any], *, model: Path, manifest: Path, out: Path) -> Path:
    """Predict a manifest with canonical questions in this process, whose memory is not measured; `out/preds.jsonl`.

    `config` is empty: it stands in the stage's key.
    """
    from drivelet.runtime.engine import Engine
    from drivelet.vlm.load import weight_megabytes

    fields = tasks.fields()
    engine = Engine.from_pretrained(model)
    answered = partial(predict, engine, fields=fields, ask=asker(fields, None))
    found = pictures(manifest, fields, list(fields))
    # The stage's key stands for all of it: what lies in its folder is of no other model or manifest.
    return write_predictions(
        answered, found, out / "preds.jsonl", weight_mb=weight_megabytes(engine.loaded.path), identity=out.name
    )


@flow.stage()
def split_real(config: Mapping[str, Any], *, images: Sequence[Path], out: Path) -> Path:
    """Write `out/train.csv` and `out/test.csv` (val and test rows, as test): real val rows only measure.

    Rows whose image cannot be read are left out, or an error where `config` says `strict`.
    """
    fields = tasks.fields()
    listed = [row for path in images for row in read_manifest(path, tasks=fields)]
    rows = readable_rows(listed, strict=config.get("strict", False), where=images[0])
    train = [row for row in rows if row.split == "train"]
    test = [replace(row, split="test") for row in rows if row.split != "train"]
    if not train or not test:
        raise InputError(f"{images[0]}: a manifest for `run` needs rows of split train and of split val or test")
    write_manifest(out / "train.csv", train)
    write_manifest(out / "test.csv", test)
    return out


@flow.stage()
def only_split(config: Mapping[str, Any], *, manifest: Path, out: Path) -> Path:
    """Write `out/manifest.csv` with one split of a manifest; rows whose image cannot be read are left out."""
    listed = [row for row in read_manifest(manifest, tasks=tasks.fields()) if row.split == config["split"]]
    if not listed:
        raise InputError(f"{manifest}: no row of split {config['split']}; add such rows to be measured on")
    rows = readable_rows(listed, strict=config.get("strict", False), where=manifest)
    write_manifest(out / "manifest.csv", rows)
    return out


def sample_rows(rows: Sequence[Row], per_field: int, *, seed: int) -> list[Row]:
    """Return all rows of as few images as give every field `per_field` rows, or what there is, labels in turn."""
    order = list(rows)
    random.Random(seed).shuffle(order)
    by_image: dict[str, list[Row]] = {}
    strata: dict[str, dict[str, list[Row]]] = {}
    for row in order:
        by_image.setdefault(row.path, []).append(row)
        strata.setdefault(row.task, {}).setdefault(row.label, []).append(row)
    chosen: dict[str, None] = {}
    found = Counter[str]()
    for task in sorted(strata):
        for row in _in_turn(strata[task].values()):
            if found[task] < per_field and row.path not in chosen:
                chosen[row.path] = None
                found.update(other.task for other in by_image[row.path])
    return [row for path in chosen for row in by_image[path]]


def _in_turn(shelves: Iterable[Sequence[Row]]) -> list[Row]:
    """Return the first row of every shelf, then the second, and on."""
    return [row for turn in zip_longest(*shelves) for row in turn if row is not None]
