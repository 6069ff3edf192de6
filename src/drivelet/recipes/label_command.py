"""The command `label`: drives given raw or ingested, labelled; what came of it, printed."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from drivelet import tasks
from drivelet.adapters.chat_settings import Endpoint, Limits
from drivelet.adapters.rerun import require
from drivelet.core import flow, outputs
from drivelet.core.damage import readable_rows
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.ports import Executor
from drivelet.core.progress import say
from drivelet.drives.ingest import IngestConfig, ingest_tables, ingested, say_assumed
from drivelet.labels.label import LabelConfig
from drivelet.recipes.label_check import Cell, blind_votes, check, hand_checked
from drivelet.recipes.labelling import known_by, label_counts, label_drives, labelers
from drivelet.recipes.recording import record_labels
from drivelet.recipes.reviewing import reapply_reviews
from drivelet.recipes.settings import apply_settings, mini
from drivelet.recipes.steps import place_of, sample_rows
from drivelet.recipes.teachers import Remote, Teacher, open_teachers, read_teacher
from drivelet.report.labelers import write_labelers, yield_plot
from drivelet.report.tables import records_table, rich_table
from drivelet.review.decisions import refuse_beside_reviewer


def label_command(
    drives: Sequence[Path],
    *,
    out: Path,
    teachers: Sequence[str],
    gold: Path | None,
    executor: Executor,
    settings: Sequence[str],
    rerun: bool = False,
    checked: Path | None = None,
    strict: bool = False,
) -> None:
    """Label drives given raw or ingested and print the ledger; decisions of earlier reviews hold for the new labels."""
    from drivelet.vlm.load import set_threads

    refuse_beside_reviewer(out)
    if rerun:
        require()
    known_frames = hand_checked(checked) if checked else {}
    set_threads()
    of_remote = [setting for setting in settings if setting.startswith(("endpoint.", "limits."))]
    remote = apply_settings(Remote(), of_remote)
    config = apply_settings(LabelConfig(), [setting for setting in settings if setting not in of_remote])
    known_teachers = [read_teacher(text, remote.endpoint) for text in teachers or [mini("teacher-mini")]]
    if of_remote and not any(isinstance(teacher.where, Endpoint) for teacher in known_teachers):
        raise InputError(f"--set {of_remote[0]}: a setting of chat endpoints, and no --teacher is one; leave it out")
    rows: list[Row] = []
    if gold:
        rows = [row for row in read_manifest(gold, tasks=tasks.fields()) if row.split != "test"]
        if not rows:
            raise InputError(f"{gold}: all its rows are of split test, which calibrates nothing; add train or val rows")
    known = readable_rows(sample_rows(rows, 40, seed=0), strict=strict, where=gold) if gold else []
    ready = _ingested_first(drives, out)
    # Paid answers are known by what was asked: they outlive a change of settings.
    limits = replace(remote.limits, answers=remote.limits.answers or str(out / "answers.sqlite"))
    names = [_name_of(teacher) for teacher in known_teachers]
    outputs.command(
        label_drives, config, out=out, inputs={"drives": ready, "teacher": known_teachers},
        also={"gold": known_by(known), "shown_as": names, "strict": strict},
        context={"gold": known, "executor": executor, "limits": limits, "strict": strict},
    )  # fmt: skip
    if stand := reapply_reviews(out):
        say(f"{stand} decisions of reviewers hold")
    if rerun:
        for path in record_labels(out, drives=ready):
            say(f"recorded {path}")
    fields = tasks.fields()
    known_of = flow.read_json(next((out / "drives").glob("*/calibration.json")))
    write_labelers(known_of, {name: spec.choices for name, spec in fields.items()}, out=out)
    for record in label_counts(out):
        say(f"{record['task']}: {record['accepted']} accepted, rejected {record['rejected']}")
    _print_alarms(out)
    cost = flow.read_json(out / "cost.json")
    say(f"{cost['frames']} frames, {cost['fps']} frames/s, peak memory {cost['peak_rss_mb']} MB a process")
    if known_frames:
        _print_check(config, out, known_frames, known_teachers, limits, size=_picture_size(ready))


def _ingested_first(drives: Sequence[Path], out: Path) -> list[Path]:
    """Return the ingested form of every drive; that of raw ones is a stage of `out`, laid out in `out/ingested` too."""
    raw = [drive for drive in drives if not _is_ingested(drive)]
    names = {drive: f"{number:03d}-{drive.stem}" for number, drive in enumerate(drives) if drive in raw}
    ready: dict[Path, Path] = {}
    with outputs.locked(out):
        for drive, name in names.items():
            ready[drive] = flow.run(
                ingest_tables, IngestConfig(), store=out / outputs.STAGES, inputs={"source": drive},
                also=place_of(drive), name="ingest",
            )  # fmt: skip
            say_assumed(ready[drive])
            outputs.publish(ready[drive], out / "ingested" / name)
        for stale in (out / "ingested").glob(f"*/{outputs.RUN}"):
            if stale.parent.name not in names.values():
                shutil.rmtree(stale.parent)
    return [ready.get(drive, drive) for drive in drives]


def _name_of(teacher: Teacher) -> str:
    return teacher.where.name if isinstance(teacher.where, Path) else teacher.where.model


def _print_alarms(out: Path) -> None:
    for drive, fields in flow.read_json(out / "summary.json")["drift"].items():
        for name, found in fields.items():
            if found["fault"]:
                share = f"{found['overruled']:.0%}"
                say(f"{drive}: {name} changes in {share} of frames; at fault: {found['fault']}", style="yellow")


def _picture_size(roots: Sequence[Path]) -> tuple[int, int]:
    """Return (height, width) of the first drive with pictures."""
    described = (flow.read_json(drive / "drive.json") for root in roots for drive in ingested(root))
    return next((found["height"], found["width"]) for found in described if found["pictures"])


def _print_check(
    config: LabelConfig, out: Path, gold: Mapping[Cell, Row], teachers: Sequence[Teacher], limits: Limits, *,
    size: tuple[int, int],
) -> None:  # fmt: skip
    """Print how right the labels of hand-checked frames are, beside single frames, majority and blind."""
    with open_teachers(teachers, limits=limits, answers=Path(limits.answers)) as opened:
        blind = blind_votes(labelers(opened), size)
    records = check(config, labelled=out, gold=gold, blind=blind)
    (out / "yield.png").write_bytes(yield_plot(records))
    shown = [{name: value for name, value in record.items() if name != "yield"} for record in records]
    Console(width=140).print(rich_table(records_table(shown), title="share right on hand-checked frames"))
    drives = flow.read_json(out / "summary.json")["drives"]
    asked = sum(cell[0] in drives for cell in gold)
    if missed := asked - sum(record["frames"] for record in records):
        say(f"{missed} of {asked} hand-checked labels of these drives lie between labelled frames; see label.hz")


def _is_ingested(drive: Path) -> bool:
    return (drive / "drive.json").is_file() or any(drive.glob("*/drive.json"))
