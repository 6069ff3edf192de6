"""Frames a second of each labeler and of the whole labelling chain, and what fusion and smoothing cost of it.

Usage: python benchmarks/label.py [DRIVE]   (a video or a folder of images; one rendered drive of 40 frames by default)
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.core.flow import peak_rss_mb
from drivelet.core.tables import read_rows
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.labels.calibrate import Calibration
from drivelet.labels.label import LabelConfig, decide, label_drive, selected
from drivelet.labels.tables import read_votes
from drivelet.labels.vlm import VlmLabeler
from drivelet.recipes.labelling import labelers
from drivelet.recipes.settings import mini
from drivelet.runtime.engine import Engine
from drivelet.synth.driving.drive_sim import DriveConfig, render_drives
from drivelet.vlm.load import set_threads

THREADS = 1


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a function returns, and the seconds that it took."""
    started = time.perf_counter()
    return function(), time.perf_counter() - started


def main() -> None:
    """Label one drive and print the table."""
    set_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        source = Path(sys.argv[1]) if len(sys.argv) > 1 else rendered(out)
        ready = ingest(IngestConfig(), source=source, out=out / "ingested")
        frames = selected(read_rows(ready / "frames.lance"), LabelConfig().hz)
        images = [image for _, image in frames_at(frames[0]["file"], [frame["frame"] for frame in frames])]
        teacher = VlmLabeler(Engine.from_pretrained(mini("teacher-mini")), list(tasks.fields().values()))
        speakers = labelers([teacher])
        for speaker in speakers:
            speaker.label(images[0])
        print(f"{len(images)} frames of {images[0].shape[1]}x{images[0].shape[0]}, {THREADS} thread")
        for speaker in speakers:
            _, seconds = timed(lambda speaker=speaker: [speaker.label(image) for image in images])
            print(f"{speaker.name:>24}: {len(images) / seconds:8.2f} frames/s")
        chain(frames, ready, speakers, out)
        print(f"{'peak memory':>24}: {peak_rss_mb():8.0f} MB")


def rendered(out: Path) -> Path:
    """Render one drive."""
    render_drives(DriveConfig(num_drives=1, seed=5, seconds=8.0, hz=5), gold=tasks.gold, out=out)
    return out / "drives" / "000" / "video.mp4"


def chain(frames: list[dict[str, Any]], ready: Path, speakers: list[Any], out: Path) -> None:
    """Time the whole chain, and fusion with smoothing alone on the same votes."""
    config, fields = LabelConfig(), tasks.fields()
    _, whole = timed(
        lambda: label_drive(
            config, drive=ready, labelers=speakers, fields=fields, calibration=None, read_frames=frames_at,
            out=out / "labels",
        )
    )  # fmt: skip
    votes = read_votes(out / "labels")
    _, thinking = timed(lambda: decide(config, frames, votes, fields, Calibration()))
    print(f"{'whole chain':>24}: {len(frames) / whole:8.2f} frames/s")
    print(f"{'fusion and smoothing':>24}: {100 * thinking / whole:8.2f} % of the chain")


if __name__ == "__main__":
    main()
