"""Asking: the votes of all labelers and the boxes of all detectors on a drive's frames, kept chunk by chunk."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drivelet.core.artifacts import Field, ImageArray, Vote
from drivelet.core.flow import chunks_on_disk
from drivelet.core.ports import Detector, Labeler
from drivelet.core.progress import track

ReadFrames = Callable[[str, Sequence[int]], Iterable[tuple[int, ImageArray]]]
"""Reads frames of a video or image folder by ascending index, as (index, RGB image); damaged frames are left out."""


def collect(
    frames: Sequence[Mapping[str, Any]],
    labelers: Sequence[Labeler],
    detectors: Sequence[Detector],
    fields: Mapping[str, Field],
    read_frames: ReadFrames,
    *,
    chunk: int,
    out: Path,
) -> tuple[list[Vote], list[dict[str, Any]]]:
    """Return all votes, and all boxes as rows of their table, on the frames of one drive.

    Finished chunks lie beneath `out` and are read back instead of asked again.
    """
    speakers = [(labeler.name, labeler.family) for labeler in labelers]
    asked = [speakers, [detector.name for detector in detectors], sorted(fields)]

    def work(part: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        drive = part[0]["drive"]
        votes: list[dict[str, Any]] = []
        boxes: list[dict[str, Any]] = []
        for index, image in read_frames(part[0]["file"], [frame["frame"] for frame in part]):
            votes += [asdict(vote) for vote in _ask(labelers, fields, image, drive=drive, frame=index)]
            boxes += _seen(detectors, image, drive=drive, frame=index)
        return {"votes": votes, "boxes": boxes}

    found = chunks_on_disk(out, frames, work, size=chunk, known_by=asked)
    parts = list(track(found, total=-(-len(frames) // chunk), what=f"label {frames[0]['drive']}"))
    return [Vote(**row) for part in parts for row in part["votes"]], [row for part in parts for row in part["boxes"]]


def _ask(
    labelers: Sequence[Labeler], fields: Mapping[str, Field], image: ImageArray, *, drive: str, frame: int
) -> Iterator[Vote]:
    for labeler in labelers:
        for name, probs in labeler.label(image).items():
            if name in fields:
                yield Vote(
                    drive=drive,
                    frame=frame,
                    field=name,
                    labeler=labeler.name,
                    family=labeler.family,
                    probs={choice: round(float(p), 6) for choice, p in probs.items()},
                )


def _seen(detectors: Sequence[Detector], image: ImageArray, *, drive: str, frame: int) -> Iterator[dict[str, Any]]:
    for detector in detectors:
        for box in detector.detect(image):
            edges = dict(zip(("x0", "y0", "x1", "y1"), (round(float(v), 2) for v in box.xyxy), strict=True))
            yield {
                "drive": drive, "frame": frame, "detector": detector.name, "kind": box.kind, **edges,
                "score": round(float(box.score), 4), "answer": box.answer, "track": None, "reason": "",
            }  # fmt: skip
