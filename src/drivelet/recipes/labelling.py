"""Labelling drives: which labelers speak, what calibrates them, and one folder of labels for all drives."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.adapters.rapidocr import TextReader
from drivelet.core import flow
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.ports import Executor, Labeler
from drivelet.core.progress import say
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest, ingested
from drivelet.labels.calibrate import Calibration, Gold, calibrate, vote_on_images
from drivelet.labels.colour import ColourLabeler
from drivelet.labels.label import LabelConfig, join_labels, label_drive
from drivelet.labels.ocr import FIELD as POSTED
from drivelet.labels.ocr import OcrLabeler
from drivelet.labels.vlm import VlmLabeler
from drivelet.recipes.settings import apply_settings, mini
from drivelet.recipes.steps import sample_rows
from drivelet.runtime.engine import Engine

Known = tuple[Path, str, str]
"""(image, field, label) of a hand-checked row."""


def labelers(teacher: str | Path) -> list[Labeler]:
    """Return labelers of three families: the teacher, colour and shape, and text recognition."""
    fields = tasks.fields()
    return [
        VlmLabeler(Engine.from_pretrained(teacher), list(fields.values())),
        ColourLabeler(fields),
        OcrLabeler(TextReader(), fields[POSTED].choices),
    ]


def calibrated(speakers: Sequence[Labeler], gold: Sequence[Row]) -> Calibration:
    """Fit each labeler's correction on hand-checked images."""
    fields = tasks.fields()
    known = [Gold(item=row.path, field=row.task, label=row.label, group=row.group) for row in gold]
    images = ((path, read_image(path)) for path in dict.fromkeys(row.path for row in gold))
    return calibrate(vote_on_images(speakers, images, fields), known, fields)


def known_by(gold: Sequence[Row]) -> list[Known]:
    """Return what hand-checked rows are known by in a stage's key: the picture's content and its label."""
    return [(Path(row.path), row.task, row.label) for row in gold]


def label_drives(
    config: LabelConfig,
    *,
    drives: Path | Sequence[Path],
    teacher: Path,
    calibrated_on: Sequence[Known],
    gold: Sequence[Row],
    executor: Executor,
    out: Path,
) -> Path:
    """Label every ingested drive at or beneath `drives`: a folder each in `out/drives`, and `out` joins them.

    The drives are dealt to the executor's workers; each loads and calibrates its own labelers.
    """
    roots = [drives] if isinstance(drives, Path) else drives
    found = [drive for root in roots for drive in ingested(root)]
    jobs = [(drive, out / "drives" / f"{number:03d}-{drive.name}") for number, drive in enumerate(found)]
    parts = [jobs[start :: executor.workers] for start in range(min(executor.workers, len(jobs)))]
    say(f"calibrated on {len(calibrated_on)} hand-checked rows")
    executor.map(partial(_label_part, config, teacher, gold), parts)
    return join_labels([folder for _, folder in jobs], out=out)


def _label_part(config: LabelConfig, teacher: Path, gold: Sequence[Row], jobs: Sequence[tuple[Path, Path]]) -> None:
    """Label some drives, one (ingested drive, folder to write) after the other."""
    speakers = labelers(teacher)
    calibration = calibrated(speakers, gold)
    for drive, folder in jobs:
        label_drive(
            config, drive=drive, labelers=speakers, fields=tasks.fields(), calibration=calibration,
            read_frames=frames_at, out=folder,
        )  # fmt: skip


def label_command(
    drives: Sequence[Path],
    *,
    out: Path,
    teacher: str | None,
    gold: Path | None,
    executor: Executor,
    settings: Sequence[str],
) -> None:
    """Label drives given raw or ingested and print the ledger."""
    from drivelet.vlm.load import resolve, set_threads

    set_threads()
    config = apply_settings(LabelConfig(), settings)
    rows: list[Row] = []
    if gold:
        rows = [row for row in read_manifest(gold, tasks=tasks.fields()) if row.split != "test"]
    known = sample_rows(rows, 40, seed=0)
    ready = [
        drive
        if _is_ingested(drive)
        else ingest(IngestConfig(), source=drive, out=out / "ingested" / f"{number:03d}-{drive.stem}")
        for number, drive in enumerate(drives)
    ]
    label_drives(
        config, drives=ready, teacher=resolve(teacher or mini("teacher-mini")), calibrated_on=known_by(known),
        gold=known, executor=executor, out=out,
    )  # fmt: skip
    for record in label_counts(out):
        say(f"{record['task']}: {record['accepted']} accepted, rejected {record['rejected']}")


def _is_ingested(drive: Path) -> bool:
    return (drive / "drive.json").is_file() or any(drive.glob("*/drive.json"))


def label_counts(folder: Path) -> list[dict[str, Any]]:
    """Return the ledger of a labelled folder: a record a field."""
    return list(_records(flow.read_json(folder / "summary.json")["fields"]))


def _records(fields: Any) -> Iterator[dict[str, Any]]:
    for name, counts in fields.items():
        yield {"task": name, "accepted": counts["accepted"], "rejected": counts["rejected"]}
