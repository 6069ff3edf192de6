"""Labelling drives: which labelers speak, what calibrates them, and one folder of labels for all drives."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.adapters.rapidocr import TextReader
from drivelet.core import flow
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.ports import Labeler
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


def label_drives(
    config: LabelConfig,
    *,
    drives: Path,
    teacher: Path,
    calibrated_on: Sequence[tuple[Path, str, str]],
    gold: Sequence[Row],
    out: Path,
) -> Path:
    """Label every ingested drive at or beneath `drives`: a folder each in `out/drives`, and `out` joins them."""
    speakers = labelers(teacher)
    calibration = calibrated(speakers, gold)
    say(f"calibrated on {len(calibrated_on)} hand-checked rows")
    folders = [
        label_drive(
            config,
            drive=drive,
            labelers=speakers,
            fields=tasks.fields(),
            calibration=calibration,
            read_frames=frames_at,
            out=out / "drives" / drive.name,
        )
        for drive in ingested(drives)
    ]
    return join_labels(folders, out=out)


def label_command(
    drives: Sequence[Path], *, out: Path, teacher: str | None, gold: Path | None, settings: Sequence[str]
) -> None:
    """Label drives given raw or ingested and print the ledger."""
    from drivelet.vlm.load import resolve, set_threads

    set_threads()
    config = apply_settings(LabelConfig(), settings)
    rows: list[Row] = []
    if gold:
        rows = [row for row in read_manifest(gold, tasks=tasks.fields()) if row.split != "test"]
    known = sample_rows(rows, 200, seed=0)
    folders = []
    for drive in drives:
        ready = (
            drive if _is_ingested(drive) else ingest(IngestConfig(), source=drive, out=out / "ingested" / drive.stem)
        )
        done = label_drives(
            config,
            drives=ready,
            teacher=resolve(teacher or mini("teacher-mini")),
            calibrated_on=known_by(known),
            gold=known,
            out=out / "parts" / drive.stem,
        )
        folders.append(done)
    join_labels(folders, out=out)
    for record in label_counts(out):
        say(f"{record['task']}: {record['accepted']} accepted, rejected {record['rejected']}")


def _is_ingested(drive: Path) -> bool:
    return (drive / "drive.json").is_file() or any(drive.glob("*/drive.json"))


def labelled_folders(source: Path) -> list[Path]:
    """Return the folder itself; kept as a list so that a folder of several sources can be given to `mix`."""
    return [source]


def label_counts(folder: Path) -> list[dict[str, Any]]:
    """Return the ledger of a labelled folder: a record a field."""
    return list(_records(flow.read_json(folder / "summary.json")["fields"]))


def _records(fields: Any) -> Iterator[dict[str, Any]]:
    for name, counts in fields.items():
        yield {"task": name, "accepted": counts["accepted"], "rejected": counts["rejected"]}
