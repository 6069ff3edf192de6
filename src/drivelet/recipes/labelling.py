"""Labelling drives: which labelers speak, what calibrates them, and one folder of labels for all drives."""

import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.adapters.chat_settings import Endpoint, Limits
from drivelet.adapters.rapidocr import TextReader
from drivelet.core import flow
from drivelet.core.artifacts import ImageArray
from drivelet.core.damage import LeftOut
from drivelet.core.errors import InputError
from drivelet.core.images import read_image
from drivelet.core.manifest import Row
from drivelet.core.ports import Executor, Labeler
from drivelet.core.progress import say
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import ingested
from drivelet.labels.calibrate import Calibration, Gold, calibrate, vote_on_images
from drivelet.labels.closer import CloserLabeler
from drivelet.labels.colour import LAMP, ColourLabeler
from drivelet.labels.label import LabelConfig, label_drive
from drivelet.labels.ocr import FIELD as POSTED
from drivelet.labels.ocr import OcrLabeler
from drivelet.labels.tables import join_labels
from drivelet.labels.vlm import VlmLabeler
from drivelet.recipes.teachers import Teacher, ahead, open_teachers
from drivelet.runtime.engine import Engine

Known = tuple[Path, str, str]
"""(image, field, label) of a hand-checked row."""


def labelers(teachers: Sequence[Labeler]) -> list[Labeler]:
    """Return the labelers: the teachers, those of this machine with a closer look at lights, colour and shape, text."""
    fields = tasks.fields()
    return [
        *teachers,
        *(closer(teacher) for teacher in teachers if isinstance(teacher, VlmLabeler) and _is_local(teacher)),
        ColourLabeler(fields),
        OcrLabeler(TextReader(), fields[POSTED].choices),
    ]


def closer(teacher: VlmLabeler) -> CloserLabeler:
    """Return a teacher that looks at the road ahead alone, and speaks of the light alone."""
    light = VlmLabeler(teacher.model, [tasks.fields()[LAMP]], name=teacher.name, family=teacher.family)
    return CloserLabeler(light)


def _is_local(teacher: VlmLabeler) -> bool:
    return isinstance(teacher.model, Engine)


def calibrated(speakers: Sequence[Labeler], gold: Sequence[Row]) -> Calibration:
    """Fit each labeler's correction on hand-checked images."""
    fields = tasks.fields()
    known = [Gold(item=row.path, field=row.task, label=row.label, group=row.group) for row in gold]
    return calibrate(vote_on_images(speakers, ahead(_images(gold), speakers), fields), known, fields)


def _images(gold: Sequence[Row]) -> Iterator[tuple[str, ImageArray]]:
    return ((path, read_image(path)) for path in dict.fromkeys(row.path for row in gold))


def known_by(gold: Sequence[Row]) -> list[Known]:
    """Return what hand-checked rows are known by in a stage's key: the picture's content and its label."""
    return [(Path(row.path), row.task, row.label) for row in gold]


@flow.stage(2, parts=(label_drive,))
def label_drives(
    config: LabelConfig,
    *,
    drives: Path | Sequence[Path],
    teacher: Path | Sequence[Teacher],
    gold: Sequence[Row],
    executor: Executor,
    limits: Limits | None = None,
    strict: bool = False,
    out: Path,
) -> Path:
    """Label every ingested drive at or beneath `drives`: a folder each in `out/drives`, and `out` joins them.

    The drives are dealt to the executor's workers; each loads and calibrates its own labelers. A drive of sensors alone
    is left out. Of the teachers, folders enter the stage's key by content and endpoints by how they are asked; `gold`
    enters it by `known_by`, and `limits` of endpoints change no answer. Frames that cannot be read are named, counted
    and left without labels.

    Raises:
        InputError: no drive has pictures, or one that is damaged where `strict`.
    """
    roots = [drives] if isinstance(drives, Path) else drives
    found = [drive for root in roots for drive in ingested(root) if _has_pictures(drive)]
    if not found:
        raise InputError(f"{roots[0]}: no drive with pictures; give one with a video or images")
    if strict:
        refuse_damaged(found)
    jobs = [
        (drive, name, out / "drives" / f"{number:03d}-{re.sub(r'[^A-Za-z0-9_.~-]+', '_', name)}")
        for number, (drive, name) in enumerate(zip(found, shown_names(found), strict=True))
    ]
    parts = [jobs[start :: executor.workers] for start in range(min(executor.workers, len(jobs)))]
    say(f"calibrated on {len(gold)} hand-checked rows")
    teachers = [Teacher(teacher)] if isinstance(teacher, Path) else list(teacher)
    limits = limits or Limits()
    answers = Path(limits.answers or out / "answers.sqlite")
    remote = [teacher for teacher in teachers if isinstance(teacher.where, Endpoint)]
    if remote and gold and len(parts) > 1:
        # Once, before every worker asks: all calibrate on the same images.
        with open_teachers(remote, limits=limits, answers=answers) as asked:
            deque(ahead(_images(gold), asked), maxlen=0)
    shared = replace(limits, workers=max(1, len(parts)))
    opened = partial(open_teachers, teachers, limits=shared, answers=answers)
    started = time.perf_counter()
    peaks = executor.map(partial(_label_part, config, opened, gold, strict), parts)
    seconds = time.perf_counter() - started
    join_labels([folder for *_, folder in jobs], out=out)
    frames = flow.read_json(out / "summary.json")["frames"]
    cost = {"frames": frames, "seconds": round(seconds, 2), "fps": round(frames / seconds, 3)}
    flow.write_json(out / "cost.json", {**cost, "peak_rss_mb": round(max(peaks), 1)})
    return out


def shown_names(drives: Sequence[Path]) -> list[str]:
    """Return what ingested drives are called in tables: of two recordings of one name each bears a part of its id."""
    told = [flow.read_json(drive / "drive.json") for drive in drives]
    ids = {(each["drive"], each.get("drive_id", "")) for each in told}
    names = Counter(name for name, _ in ids)
    return [
        f"{each['drive']}~{each.get('drive_id', '')[:6]}" if names[each["drive"]] > 1 else each["drive"]
        for each in told
    ]  # fmt: skip


def _has_pictures(drive: Path) -> bool:
    return flow.read_json(drive / "drive.json").get("pictures", True)


def _label_part(
    config: LabelConfig,
    opened: Callable[[], AbstractContextManager[list[Labeler]]],
    gold: Sequence[Row],
    strict: bool,
    jobs: Sequence[tuple[Path, str, Path]],
) -> float:
    """Label some drives, one (ingested drive, its name, folder to write) after the other; return the peak memory."""
    with opened() as teachers:
        speakers = labelers(teachers)
        boxes = [speaker for speaker in speakers if isinstance(speaker, ColourLabeler)]
        calibration = calibrated(speakers, gold)
        for drive, name, folder in jobs:
            left_out = LeftOut(strict=strict)
            label_drive(
                config, drive=drive, labelers=speakers, detectors=boxes, fields=tasks.fields(), calibration=calibration,
                read_frames=lambda file, frames, left_out=left_out: ahead(_whole(file, frames, left_out), speakers),
                shown_as=name, out=folder,
            )  # fmt: skip
            if left_out.count:
                say(f"{drive.name}: {left_out.count} frames cannot be read; they have no labels")
    return flow.peak_rss_mb()


def _whole(file: str, wanted: Sequence[int], left_out: LeftOut) -> Iterator[tuple[int, ImageArray]]:
    """Yield the frames that can be read; the others of those wanted go to `left_out`."""
    missing = set(wanted)
    for index, image in frames_at(file, wanted):
        missing.discard(index)
        yield index, image
    for index in sorted(missing):
        left_out.add(InputError(f"{file} frame {index}: it cannot be read"))


def refuse_damaged(drives: Sequence[Path]) -> None:
    """Raise InputError where ingestion had to leave out frames of a drive."""
    for drive in drives:
        if lost := flow.read_json(drive / "drive.json").get("skipped_frames"):
            raise InputError(
                f"{drive}: {lost} frames are damaged or without a time; leave --strict to go on without them"
            )


def label_counts(folder: Path) -> list[dict[str, Any]]:
    """Return the ledger of a labelled folder: a record a field."""
    return list(_records(flow.read_json(folder / "summary.json")["fields"]))


def _records(fields: Any) -> Iterator[dict[str, Any]]:
    for name, counts in fields.items():
        yield {"task": name, "accepted": counts["accepted"], "rejected": counts["rejected"]}
