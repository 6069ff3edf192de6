"""Recipes by name, and the commands that join rooms outside the loop."""

from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.damage import LeftOut
from drivelet.core.errors import InputError
from drivelet.core.manifest import read_manifest
from drivelet.core.memory import begin
from drivelet.core.model_folder import check_folder
from drivelet.core.outputs import RUN, STAGES, command, described
from drivelet.core.ports import Executor
from drivelet.recipes.settings import apply_settings, mini

RECIPES = {
    "mini": "drivelet.recipes.mini:mini",
    "tiny": "drivelet.recipes.tiny:tiny",
    "qwen2_5_vl": "drivelet.recipes.qwen2_5_vl:qwen2_5_vl",
    "pretrain_minis": "drivelet.recipes.pretrain_minis:pretrain_minis",
}


def configured(recipe: str, settings: Sequence[str]) -> Any:
    """Return a recipe's configuration with `--set` applied.

    Raises:
        InputError: no such recipe, or a wrong setting.
    """
    if recipe not in RECIPES:
        near = get_close_matches(recipe, RECIPES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(RECIPES)}"
        raise InputError(f"{recipe}: no such recipe; {hint}")
    module, _, function = RECIPES[recipe].partition(":")
    return apply_settings(getattr(import_module(module), function)(), settings)


def start(
    recipe: str,
    *,
    drives: Sequence[Path],
    images: Sequence[Path],
    out: Path,
    executor: Executor,
    settings: Sequence[str],
    strict: bool = False,
) -> Path:
    """Run a recipe; damaged frames and images are left out and counted, or an error where `strict`.

    Raises:
        InputError: as the recipe does.
    """
    from drivelet.recipes.config import LoopConfig
    from drivelet.recipes.loop import run_loop
    from drivelet.vlm.load import set_threads

    config = configured(recipe, settings)
    set_threads()
    if not isinstance(config, LoopConfig):
        if drives or images:
            raise InputError(f"run {recipe}: it takes no --drives and no --images; it renders what it trains on")
        from drivelet.recipes.pretrain_minis import run_pretraining

        return run_pretraining(config, out=out)
    if recipe == "tiny":
        from drivelet.recipes.tiny import with_random_models

        config = with_random_models(config, out / "models")
    return run_loop(config, drives=drives, images=images, out=out, executor=executor, strict=strict)


def predict(
    model: str,
    source: Path,
    *,
    out: Path,
    library: Path | None,
    names: Sequence[str],
    blind: bool,
    threads: int,
    strict: bool = False,
    dtype: str = "auto",
) -> dict[str, Any]:
    """Answer `source` with a model and write `out`; return the costs. A second call goes on where one was stopped.

    A picture that cannot be read is left out and counted, or an error where `strict`.
    """
    from drivelet.recipes.steps import asker, identity_of, pictures
    from drivelet.runtime.engine import Engine
    from drivelet.runtime.predict import cost_path, predict, write_predictions
    from drivelet.vlm.load import dtype_named, set_threads, weight_megabytes

    set_threads(threads or None)
    fields = tasks.fields()
    wanted = fields_named(names)
    ask = asker(fields, library)
    pictures(source, fields, wanted)  # what is wrong with it is told before the model is loaded
    baseline = begin()
    engine = Engine.from_pretrained(model, dtype=dtype_named(dtype))
    weight_mb = weight_megabytes(engine.loaded.path)
    settings = {"fields": wanted, "strict": strict, "dtype": engine.dtype, "threads": threads}
    inputs = {"model": engine.loaded.path, "source": source, "prompts": library}
    identity = identity_of(settings, inputs)
    with described(out.parent, config=settings, inputs=inputs, name=f"{out.stem}.{RUN}"):
        for grey in (True, False) if blind else (False,):
            answered = partial(predict, engine, fields=fields, ask=ask, blind=grey, left_out=LeftOut(strict=strict))
            write_predictions(
                answered, pictures(source, fields, wanted), out.with_suffix(f".blind{out.suffix}") if grey else out,
                weight_mb=weight_mb, identity=identity, dtype=engine.dtype, baseline=baseline,
            )  # fmt: skip
    return flow.read_json(cost_path(out))


def fields_named(names: Sequence[str], *, option: str = "--tasks") -> list[str]:
    """Return the fields that names of tasks or fields, commas between them, stand for; all without a name.

    Raises:
        InputError: no such task or field.
    """
    known = list(tasks.fields())
    split = [part.strip() for name in names for part in name.split(",")]
    chosen = [field for field in known if not split or field in split or field.split(".")[0] in split]
    strange = [name for name in split if not any(name in (field, field.split(".")[0]) for field in known)]
    if strange:
        raise InputError(f"{option} {strange[0]}: no such task or field; known are {', '.join(known)}")
    return chosen


def data_manifest(data: Path) -> Path:
    """Return the manifest of a data folder, or the manifest itself.

    Raises:
        InputError: there is none.
    """
    manifest = data / "manifest.csv" if data.is_dir() else data
    if not manifest.is_file():
        raise InputError(f"{data}: no manifest.csv; give a folder written by `drivelet mix`, or a manifest")
    return manifest


def distil(
    teacher: str,
    student: str,
    *,
    data: Path,
    library: Path | None,
    out: Path,
    settings: Sequence[str],
    strict: bool = False,
) -> Path:
    """Cache the teacher's soft labels in `out/stages`, train, and save the merged model in `out/model`.

    Images that cannot be read are left out and counted, or an error where `strict`.
    """
    from drivelet.distil.soft_labels import SoftLabelConfig
    from drivelet.distil.train import DistilConfig, distil
    from drivelet.recipes.making import soft_label_rows
    from drivelet.vlm.load import need_whole, resolve, set_threads

    set_threads()
    config = apply_settings(DistilConfig(), settings)
    check_folder(resolve(student))
    need_whole(resolve(student))
    asked = {"teacher": resolve(teacher), "manifest": data_manifest(data), "prompts": library, "strict": strict}
    learner = resolve(student)
    labels = flow.run(soft_label_rows, SoftLabelConfig(), store=out / STAGES, inputs=asked)
    return command(distil, config, out=out, inputs={"student": learner, "soft_labels": labels}) / "model"


def optimise(model: Path, *, data: Path, out: Path, settings: Sequence[str]) -> Path:
    """Search prompts for a model; return `out/prompts.json`."""
    from drivelet.prompts.search import OptimiseConfig
    from drivelet.recipes.making import optimise_prompts
    from drivelet.vlm.load import resolve

    config = apply_settings(OptimiseConfig(), settings)
    inputs = {"student": resolve(str(model)), "manifest": data_manifest(data)}
    return command(optimise_prompts, config, out=out, inputs=inputs) / "prompts.json"


def quantise(model: Path, *, data: Path, library: Path | None, bits: int, group_size: int, out: Path) -> Path:
    """Quantise a model; it answers its own calibration questions where their labels are coarse."""
    from drivelet.distil.soft_labels import SoftLabelConfig
    from drivelet.quantise.quantise import AwqConfig
    from drivelet.recipes.making import CALIBRATION_IMAGES, quantise_model, soft_label_rows
    from drivelet.vlm.load import need_whole, resolve, set_threads

    set_threads()
    config = apply_settings(AwqConfig(), [f"bits={bits}", f"group_size={group_size}"])
    folder = resolve(model)
    check_folder(folder)
    need_whole(folder)
    asked = {"teacher": folder, "manifest": data_manifest(data), "prompts": library}
    labels = flow.run(soft_label_rows, SoftLabelConfig(), store=out / STAGES, inputs=asked)
    inputs = {"model": folder, "soft_labels": labels, "count": CALIBRATION_IMAGES}
    return command(quantise_model, config, out=out, inputs=inputs)


def bench(
    models: Sequence[str], *, data: Path, library: Path | None, out: Path, strict: bool = False, dtype: Any = "auto"
) -> Path:
    """Measure models on a manifest's test rows (its val rows where it has none), print and save the table.

    All are loaded in one `dtype`, whatever they were saved in; their speed is taken after all accuracy. Images that
    cannot be read are left out and counted, or an error where `strict`.
    """
    from drivelet.evaluate.predictions import read_predictions
    from drivelet.evaluate.table import paired_tests
    from drivelet.recipes.results import print_table, result_row
    from drivelet.recipes.speed import speed_of, speeds
    from drivelet.recipes.steps import PredictConfig, asker, measure, one_dtype, only_split
    from drivelet.vlm.load import resolve

    folders = {name: resolve(name) for name in models}
    for folder in folders.values():
        check_folder(folder)
    asker(tasks.fields(), library)  # Damaged prompts are refused here: the measuring process takes seconds to start.
    rows = read_manifest(data_manifest(data), tasks=tasks.fields())
    split = "test" if any(row.split == "test" for row in rows) else "val"
    store = out / STAGES
    of_split = {"split": split, "strict": strict}
    manifest = flow.run(only_split, of_split, store=store, inputs={"manifest": data_manifest(data)})
    rows = read_manifest(manifest / "manifest.csv", tasks=tasks.fields())
    config = one_dtype(PredictConfig(dtype=dtype))
    measured = {
        name: flow.run(
            measure, config, store=store,
            inputs={"model": model, "manifest": manifest / "manifest.csv", "prompts": library, "key": name},
        )
        for name, model in folders.items()
    }  # fmt: skip
    speed = flow.run(
        speeds, config, store=store,
        inputs={"models": folders, "prompts": dict.fromkeys(folders, library), "manifest": manifest / "manifest.csv"},
    )  # fmt: skip
    said = {name: read_predictions(folder / "preds.jsonl") for name, folder in measured.items()}
    lines = [
        result_row(name, folders[name], library, folder, rows, out, speed=speed_of(speed, name))
        for name, folder in measured.items()
    ]
    first = models[0]
    tests = [
        t for other in models[1:] for t in paired_tests(other, said[other], first, said[first], rows, tasks.load())
    ]
    summary = {"recipe": "bench", "data": {"test": str(data), "rows": len(rows)}, "rows": lines, "tests": tests}
    with described(out, config=config, inputs={"models": list(folders.values()), "data": data, "prompts": library}):
        flow.write_json(out / "summary.json", summary)
    print_table(lines, title=f"{len(rows)} {split} rows of {data}")
    return out / "summary.json"


def paint(out: Path, *, world: Path | None, painter: Path | None, teacher: str | None, settings: Sequence[str]) -> Path:
    """Run the text-to-image loop; without `world` a small one is rendered first."""
    from drivelet.recipes.painting import paint_pictures
    from drivelet.recipes.steps import GOLD, GOLD_VERSION
    from drivelet.synth.painting.paint import PaintConfig
    from drivelet.synth.render import RenderConfig, render_frames
    from drivelet.vlm.load import resolve, set_threads

    set_threads()
    config = apply_settings(PaintConfig(), settings)
    judge = resolve(teacher) if teacher else Path(mini("teacher-mini"))
    painter = painter or Path(mini("painter-mini"))
    if not (painter / "model_index.json").is_file():
        raise InputError(f"{painter}: no such pipeline folder (model_index.json); give one saved by save_pretrained")
    if world is None:
        rendering = RenderConfig(num_frames=120, seed=config.seed, workers=2)
        world = flow.run(render_frames, rendering, store=out / STAGES, inputs={}, also=GOLD_VERSION, context=GOLD)
    inputs = {"painter": painter, "world": world, "teacher": judge}
    return command(paint_pictures, config, out=out, inputs=inputs) / "manifest.csv"
