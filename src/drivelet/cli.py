"""The command line: parses, calls a recipe or a room, prints; a command imports what only it needs."""

import errno
import gc
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from drivelet.core.errors import InputError
from drivelet.core.places import check_once, check_place
from drivelet.core.progress import visible

READ = frozenset((
    "source", "sources", "path", "drives", "images", "gold", "check", "like", "world", "painter", "teacher", "teachers",
    "student", "model", "models", "data", "library", "embedder", "scenes",
))  # fmt: skip
"""Parameters that name inputs."""
ONCE = frozenset(("sources", "drives", "images", "models", "exports"))
"""Parameters that may hold several values, none of them twice."""
WRITTEN = frozenset(("out", "index"))
"""Parameters that name outputs."""
MOST = 1024
"""Processes or threads; far more bring a machine down before they say so."""
LONGEST = 500
"""Characters of an error's line."""
FULL = os.strerror(errno.ENOSPC)
PATH_ERRORS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


class Examples(click.Command):
    """A command whose help ends with an example line, and which looks at where it will write before it starts."""

    def __init__(self, *args: Any, example: str = "", writes_file: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, epilog=f"Example: {example}" if example else None, **kwargs)
        self.writes_file = writes_file

    def invoke(self, ctx: click.Context) -> Any:
        """Check what is given, then run."""
        given = {name: value if isinstance(value, tuple) else (value,) for name, value in ctx.params.items()}
        if empty := [name for name in READ & given.keys() if "" in given[name]]:
            raise InputError(f"{ctx.command_path}: {empty[0]} is empty; name one, or leave it out")
        for name in ONCE & given.keys():
            check_once(map(str, given[name]))
        inputs = [Path(each) for name in READ & given.keys() for each in given[name] if each is not None]
        for place in [each for name in WRITTEN & given.keys() for each in given[name] if each is not None]:
            check_place(place, inputs, is_file=self.writes_file)
        return super().invoke(ctx)


class Place(click.Path):
    """A path that is given: an empty word would stand for the folder in which the command was called."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse an empty path."""
        if value in ("", b""):
            self.fail("it is empty; give a path", param, ctx)
        return super().convert(value, param, ctx)


PathArg = Place(path_type=Path)


@click.group(context_settings={"max_content_width": 110})
@click.version_option(package_name="drivelet")
def app() -> None:
    """From raw driving logs to a small, measured, 4-bit vision-language model for driving questions."""


def command(example: str, *, writes_file: bool = False) -> Callable[[Callable[..., Any]], click.Command]:
    """Register a command with an example; it writes a folder, or a file."""
    return app.command(cls=Examples, example=example, writes_file=writes_file)


OUT = click.option("--out", type=PathArg, required=True, help="Folder (or file) to write.")
EXECUTOR = click.option(
    "--executor",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="Where drives are labelled and models trained.",
)
WORKERS = click.option(
    "--workers",
    type=click.IntRange(1, MOST),
    default=1,
    show_default=True,
    help="Drives labelled, or models trained, at once.",
)
STRICT = click.option("--strict", is_flag=True, help="Stop at the first damaged item instead of leaving it out.")
DTYPE = click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Of the weights; auto is bfloat16 where the machine multiplies it itself, float32 elsewhere.",
)
SET = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change one setting; see `show`.")


@command("drivelet run mini --out out/demo")
@click.argument("recipe")
@click.option("--drives", multiple=True, type=PathArg, help="Videos, folders of images, or folders of drives.")
@click.option("--images", multiple=True, type=PathArg, help="Manifest of labelled images; its val rows are the test.")
@click.option("--out", type=PathArg, default=None, help="Folder to write; out/RECIPE by default.")
@EXECUTOR
@WORKERS
@STRICT
@SET
def run(
    recipe: str,
    drives: Sequence[Path],
    images: Sequence[Path],
    out: Path | None,
    executor: str,
    workers: int,
    strict: bool,
    settings: Sequence[str],
) -> None:
    """Run a recipe from drives to the measured table; run it again to go on after an interruption."""
    from drivelet.adapters import executors
    from drivelet.recipes import named

    out = out or Path("out") / recipe
    crew = executors.executor(executor, workers=workers)
    named.start(recipe, drives=drives, images=images, out=out, executor=crew, settings=settings, strict=strict)


@command("drivelet show mini --set distil.steps=300")
@click.argument("recipe")
@SET
def show(recipe: str, settings: Sequence[str]) -> None:
    """Print the whole configuration of a recipe, every default visible."""
    from drivelet.recipes import named
    from drivelet.recipes.settings import flatten

    for key, value in flatten(named.configured(recipe, settings)):
        click.echo(f"{key} = {value!r}")


@command("drivelet ingest drives/monday --out out/monday")
@click.argument("path", type=PathArg)
@OUT
@SET
def ingest(path: Path, out: Path, settings: Sequence[str]) -> None:
    """Read a drive in any supported format into the drive tables; the original stays untouched."""
    from drivelet.core.outputs import command as run_command
    from drivelet.drives.ingest import IngestConfig, ingest_tables, ingested, say_assumed
    from drivelet.recipes.settings import apply_settings
    from drivelet.recipes.steps import place_of

    config = apply_settings(IngestConfig(), settings)
    run_command(ingest_tables, config, out=out, inputs={"source": path}, also=place_of(path), name="ingest")
    say_assumed(out)
    for folder in ingested(out):
        click.echo(f"{folder}: {(folder / 'drive.json').read_text()}")


@command("drivelet label out/monday --out out/labels --gold images/manifest.csv")
@click.argument("drives", nargs=-1, required=True, type=PathArg)
@OUT
@click.option(
    "--teacher",
    "teachers",
    multiple=True,
    help="Model folder, hub id, chat endpoint as openai:MODEL@http://HOST:PORT/v1, or open-vocabulary detector "
    "of cones as detector:FOLDER_OR_ID; the shipped teacher by default. "
    "May be given several times: each is a labeler. #FAMILY at its end names the models with which it shares mistakes; "
    "without it models are of the family vlm, and detectors of the family detector.",
)
@click.option(
    "--gold", type=PathArg, default=None, help="Manifest of hand-checked images that calibrates the labelers."
)
@click.option(
    "--check", type=PathArg, default=None, help="Manifest of hand-checked frames, named DRIVE_FRAME; prints the score."
)
@click.option("--rerun", is_flag=True, help="Also write OUT/<drive>.rrd, a Rerun recording (the extra `rerun`).")
@EXECUTOR
@WORKERS
@STRICT
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one setting; of chat endpoints: endpoint.samples=5, endpoint.choice_field=structured_outputs.choice, "
    "limits.requests_per_minute=60, limits.max_cost=5, limits.key_variable=MY_KEY and others.",
)
def label(
    drives: Sequence[Path],
    out: Path,
    teachers: Sequence[str],
    gold: Path | None,
    check: Path | None,
    rerun: bool,
    executor: str,
    workers: int,
    strict: bool,
    settings: Sequence[str],
) -> None:
    """Pseudo-label ingested drives (or raw ones, ingested first) and keep every rejection with its reason."""
    from drivelet.adapters import executors
    from drivelet.recipes.label_command import label_command

    crew = executors.executor(executor, workers=workers)
    label_command(
        drives, out=out, teachers=teachers, gold=gold, executor=crew, settings=settings, rerun=rerun,
        checked=check, strict=strict,
    )  # fmt: skip


@command("drivelet review out/labels --only rejected --task traffic_light.state")
@click.argument("folder", metavar="DIR", type=PathArg)
@click.option("--port", type=click.IntRange(0, 65535), default=8020, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; this machine alone.")
@click.option("--reviewer", default=None, help="Name written beside every decision; the account's by default.")
@click.option(
    "--only",
    type=click.Choice(["rejected", "accepted", "all"]),
    default="all",
    show_default=True,
    help="The labels to look at, by the verdict of `label`.",
)
@click.option("--task", "names", multiple=True, metavar="FIELD", help="Look at this field or task alone.")
def review(folder: Path, port: int, host: str, reviewer: str | None, only: Any, names: Sequence[str]) -> None:
    """Accept, fix or reject pseudo-labels in the browser with the keyboard; Ctrl-C ends, the same command goes on."""
    from drivelet.recipes import reviewing

    reviewing.review_command(
        folder, host=host, port=port, reviewer=reviewer, only=only, names=names, announce=click.echo
    )


@command("drivelet mine out/labels --out out/mined --text 'traffic_light.state=yellow and speed_mps<1' --budget 50")
@click.argument("sources", metavar="DIR...", nargs=-1, required=True, type=PathArg)
@OUT
@click.option("--like", default=None, metavar="IMAGE", help="Find frames like this image file, or like DRIVE:FRAME.")
@click.option("--text", default=None, metavar="QUERY", help="Find frames by a query over answers and sensors.")
@click.option("--hard", is_flag=True, help="Find frames that the labelers disagree about, doubt or reject.")
@click.option("--budget", type=click.IntRange(1), default=100, show_default=True, help="Most frames to find.")
@click.option("--embedder", default=None, help="Model folder or hub id; the shipped teacher by default.")
@click.option("--index", type=PathArg, default=None, help="Folder that keeps embeddings; OUT/index by default.")
@SET
def mine(
    sources: Sequence[Path],
    out: Path,
    like: str | None,
    text: str | None,
    hard: bool,
    budget: int,
    embedder: str | None,
    index: Path | None,
    settings: Sequence[str],
) -> None:
    """Find the frames worth labelling: by example, by text, by hardness, or the most telling ones.

    DIR is a folder of `label` or `ingest`, or a manifest of images. A query joins conditions by and, or, not and
    parentheses: traffic_light.state=yellow and cone.count>=3-5 and not standing. It ranks frames by the product of
    their labels' probabilities. With an --embedder that takes text (CLIP, SigLIP), QUERY is free text instead.
    """
    from drivelet.recipes.mining import mine_command

    mine_command(
        sources, out=out, like=like, text=text, hard=hard, budget=budget, embedder=embedder, index=index,
        settings=settings,
    )  # fmt: skip


@command("drivelet render --out out/render --num-frames 100 --seed 7 --workers 2 --coco --sheet")
@OUT
@click.option("--num-frames", type=click.IntRange(1), default=None, help="Labelled frames to render.")
@click.option("--num-drives", type=click.IntRange(1), default=None, help="Short drives to render instead.")
@click.option("--scenes", type=PathArg, default=None, help="Scene records to render instead, as --plan writes them.")
@click.option(
    "--domain",
    type=click.Choice(["world", "town", "full", "narrow"]),
    default=None,
    help="What is drawn; world by default.",
)
@click.option("--recipe", default=None, metavar="NAME", help="Draw rare scenes of the world: night_red_occluded ...")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--workers", type=click.IntRange(1, MOST), default=1, show_default=True, help="Blender processes.")
@click.option("--plan", is_flag=True, help="Only write the frames' scene records, to OUT/plan.jsonl.")
@click.option("--coco", is_flag=True, help="Also write OUT/coco.json: boxes, categories and attributes.")
@click.option("--overlay", is_flag=True, help="Also draw boxes, ids, distances and answers on copies of the frames.")
@click.option("--sheet", is_flag=True, help="Also write OUT/sheet.jpg: 24 frames drawn with the seed.")
def render(out: Path, plan: bool, coco: bool, overlay: bool, sheet: bool, **wanted: Any) -> None:
    """Render labelled frames or drives with Blender; frame i depends on the seed and i alone.

    A second call keeps what is finished and goes on, also after a crash or a full disk.
    """
    from drivelet.recipes.rendering import Wanted, render_command

    for line in render_command(Wanted(**wanted), out=out, plan=plan, coco=coco, overlay=overlay, sheet=sheet):
        click.echo(line)


@command("drivelet paint --out out/paint --world out/render")
@OUT
@click.option("--world", type=PathArg, default=None, help="Render folder that round 0 and the control are cut from.")
@click.option(
    "--painter", type=PathArg, default=None, help="Text-to-image pipeline folder; the shipped painter by default."
)
@click.option(
    "--teacher",
    default=None,
    help="Model that judges what is kept; it only measures where the painter brings no judge.",
)
@SET
def paint(out: Path, world: Path | None, painter: Path | None, teacher: str | None, settings: Sequence[str]) -> None:
    """Run the self-improving text-to-image loop beside its control."""
    from drivelet.recipes import named

    click.echo(named.paint(out, world=world, painter=painter, teacher=teacher, settings=settings))


@command("drivelet mix images/manifest.csv out/labels out/render out/paint --out out/data")
@click.argument("sources", nargs=-1, required=True, type=PathArg)
@OUT
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Choice(["parquet", "llava", "sharegpt", "coco", "webdataset"]),
    help="Also write this form, into OUT/FORM; may be given several times.",
)
@click.option("--embedder", default=None, help="Model folder or hub id; finds near-duplicates by embedding too.")
@click.option(
    "--teacher", default=None, help="Model that checks the labels of real images; it must not have trained on them."
)
@click.option("--search", is_flag=True, help="First search the ratio of sources that trains best, on val rows alone.")
@STRICT
@SET
def mix(
    sources: Sequence[Path],
    out: Path,
    exports: Sequence[str],
    embedder: str | None,
    teacher: str | None,
    search: bool,
    strict: bool,
    settings: Sequence[str],
) -> None:
    """Clean, split and mix manifests, labelled drives, render and paint folders into one training set."""
    from drivelet.recipes import mixing

    written = mixing.mix_command(
        sources,
        out=out,
        exports=exports,
        embedder=embedder,
        teacher=teacher,
        search=search,
        settings=settings,
        strict=strict,
    )
    for path in written:
        click.echo(path)


@app.group()
def prompts() -> None:
    """Optimise or show the prompts of a model."""


@prompts.command(
    "optimise", cls=Examples, example="drivelet prompts optimise MODEL --data out/data/manifest.csv --out out/prompts"
)
@click.argument("model", type=PathArg)
@click.option("--data", type=PathArg, required=True, help="Folder of `mix`, or a manifest, with train and val rows.")
@OUT
@SET
def prompts_optimise(model: Path, data: Path, out: Path, settings: Sequence[str]) -> None:
    """Search the library's edits: proposed on train, accepted on val by an exact test."""
    from drivelet.recipes import named

    click.echo(named.optimise(model, data=data, out=out, settings=settings))


@prompts.command("show", cls=Examples, example="drivelet prompts show out/prompts")
@click.argument("folder", type=PathArg, required=False)
def prompts_show(folder: Path | None) -> None:
    """Print the entries of a prompts folder, or of the default library."""
    from drivelet import tasks
    from drivelet.prompts.library import default_library, load_library

    fields = tasks.fields()
    for prompt in load_library(folder, fields) if folder else default_library(fields):
        when = f" when {' and '.join(prompt.triggers)}" if prompt.triggers else ""
        click.echo(f"{prompt.version} {prompt.field}{when}: {prompt.text}")


@command("drivelet distil --teacher TEACHER --student STUDENT --data out/data --out out/distilled")
@click.option("--teacher", required=True, help="Model folder or hub id.")
@click.option("--student", required=True, help="Model folder or hub id.")
@click.option("--data", type=PathArg, required=True, help="Folder of `mix`, or a manifest.")
@click.option(
    "--prompts", "library", type=PathArg, default=None, help="Prompts folder; canonical questions by default."
)
@OUT
@STRICT
@SET
def distil(
    teacher: str,
    student: str,
    data: Path,
    library: Path | None,
    out: Path,
    strict: bool,
    settings: Sequence[str],
) -> None:
    """Distil a teacher into a student with LoRA, and save the merged model."""
    from drivelet.recipes import named

    click.echo(named.distil(teacher, student, data=data, library=library, out=out, settings=settings, strict=strict))


@command("drivelet quantise out/distilled/model --data out/data --bits 4 --group-size 64 --out out/awq")
@click.argument("model", type=PathArg)
@click.option("--data", type=PathArg, required=True, help="Folder of `mix`, or a manifest: calibration questions.")
@click.option("--bits", type=click.Choice(["4", "8"]), default="4", show_default=True)
@click.option("--group-size", type=click.Choice(["32", "64", "128"]), default="64", show_default=True)
@click.option(
    "--prompts", "library", type=PathArg, default=None, help="Prompts folder; canonical questions by default."
)
@OUT
def quantise(model: Path, data: Path, bits: str, group_size: str, library: Path | None, out: Path) -> None:
    """Quantise a model with AWQ on driving questions with their images and answers."""
    from drivelet.recipes import named

    click.echo(named.quantise(model, data=data, library=library, bits=int(bits), group_size=int(group_size), out=out))


@command("drivelet predict MODEL drive.mp4 --out preds.jsonl", writes_file=True)
@click.argument("model")
@click.argument("source", metavar="INPUT", type=PathArg)
@click.option("--out", type=PathArg, required=True, help="JSON-lines file to write.")
@click.option(
    "--prompts", "library", type=PathArg, default=None, help="Prompts folder; every canonical question by default."
)
@click.option("--tasks", "names", multiple=True, help="Ask only these fields or tasks.")
@click.option("--blind", is_flag=True, help="Also answer grey images, into NAME.blind.jsonl.")
@click.option("--threads", type=click.IntRange(0, MOST), default=0, help="CPU threads; 0 takes all.")
@STRICT
@DTYPE
def predict(
    model: str,
    source: Path,
    out: Path,
    library: Path | None,
    names: Sequence[str],
    blind: bool,
    threads: int,
    strict: bool,
    dtype: str,
) -> None:
    """Answer the driving questions about an image, a folder, a video or a manifest; run it again to go on.

    A picture that cannot be read is left out, named and counted.
    """
    from drivelet.recipes import named

    cost = named.predict(
        model, source, out=out, library=library, names=names, blind=blind, threads=threads, strict=strict, dtype=dtype
    )
    left_out = f", {cost['skipped']} left out" if cost["skipped"] else ""
    speed = f"{cost['fps']} frames/s in {cost['dtype']}"
    click.echo(f"{out}: {cost['images']} images{left_out}, {speed}, peak {cost['peak_rss_mb']} MB")


@command("drivelet bench MODEL_A MODEL_B --data out/data/manifest.csv")
@click.argument("models", nargs=-1, required=True)
@click.option("--data", type=PathArg, required=True, help="Manifest; its test rows, or its val rows where it has none.")
@click.option(
    "--prompts", "library", type=PathArg, default=None, help="Prompts folder; every canonical question by default."
)
@click.option("--out", type=PathArg, default=None, help="Folder to write; out/bench by default.")
@STRICT
@DTYPE
def bench(models: Sequence[str], data: Path, library: Path | None, out: Path | None, strict: bool, dtype: str) -> None:
    """Measure models in one run and one dtype: accuracy with intervals, frames per second, memory."""
    from drivelet.recipes import named

    named.bench(models, data=data, library=library, out=out or Path("out") / "bench", strict=strict, dtype=dtype)


@command("drivelet study temporal --out out/temporal --workers 2")
@click.argument("name")
@OUT
@click.option("--images", multiple=True, type=PathArg, help="Manifest of real images, for the study `data`.")
@EXECUTOR
@WORKERS
@SET
def study(name: str, out: Path, images: Sequence[Path], executor: str, workers: int, settings: Sequence[str]) -> None:
    """Run a study: a claim, the measurement that settles it, a table, a plot and a plain sentence.

    NAME is temporal (labels over time), data (real against painted and rendered training images) or t2i (the
    text-to-image loop against training on renders alone).
    """
    from drivelet.adapters import executors
    from drivelet.recipes import studies

    crew = executors.executor(executor, workers=workers)
    click.echo(studies.run(name, out=out, executor=crew, settings=settings, images=images))


@command("drivelet report out/demo")
@click.argument("folder", type=PathArg)
def report(folder: Path) -> None:
    """Write report.html again from a run's summary.json and the parts beside it."""
    from drivelet.report.html import report_folder

    click.echo(report_folder(folder))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit code 0 done, 1 a fault of ours, 2 the user's input is wrong, 130 interrupted."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        app.main(args=list(arguments) if arguments is not None else None, prog_name="drivelet", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
    except click.UsageError as error:
        _fail(
            f"{error.format_message().rstrip('.')}; see `{error.ctx.command_path if error.ctx else 'drivelet'} --help`"
        )
    except click.ClickException as error:
        _fail(error.format_message())
    except InputError as error:
        _fail(str(error))
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; the same command goes on from here", err=True)
        # A last collection over all that the libraries hold may take longer than what was interrupted.
        gc.freeze()
        sys.exit(130)
    except Exception as error:
        _fail_or_bug(error)


def _fail_or_bug(error: Exception) -> None:
    """Tell a full disk and an unusable path, which are the user's, from faults of ours."""
    named = f" {error.filename}" if isinstance(error, OSError) and error.filename else ""
    if _is_disk_full(error):
        where = f" while writing{named}" if named else ""
        _fail(f"no space left on the disk{where}; free some or choose another --out, then run the same command again")
    if isinstance(error, OSError) and error.errno in PATH_ERRORS and named:
        _fail(f"{named.strip()}: {error.strerror}; correct the path, or its permissions")
    traceback.print_exc()
    sys.exit(1)


def _is_disk_full(error: BaseException | None) -> bool:
    """Lance and safetensors write from Rust and raise errors without a number; only their text tells."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or FULL in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _fail(message: str) -> NoReturn:
    line = visible(" ".join(message.split()))
    # Names may be thousands of characters long; how a line begins and what to do at its end is what counts.
    shown = line if len(line) <= LONGEST else f"{line[: LONGEST - 200]} … {line[-200:]}"
    click.echo(f"drivelet: {shown}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
