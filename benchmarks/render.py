"""Frames a second of the renderer at 320x192: `python benchmarks/render.py [--frames 40] [--workers 2]`."""

import argparse
import tempfile
import time
from pathlib import Path

from drivelet.adapters import blender
from drivelet.synth.domain import full
from drivelet.synth.render import frame_jobs
from drivelet.synth.scene import sample_scene


def main() -> None:
    """Render full-domain frames and print the rate with and without the workers' start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        jobs = frame_jobs([sample_scene(0, i, full()) for i in range(options.frames)], out)
        began = time.perf_counter()
        finished = blender.render(jobs, workers=options.workers, log=out / "blender.log")
        next(finished)
        first = time.perf_counter()
        for _ in finished:
            continue
        end = time.perf_counter()
    print(f"frames {options.frames}, workers {options.workers}, 320x192, full domain")
    print(f"steady {(options.frames - 1) / (end - first):.2f} frames/s; start and first frame {first - began:.1f} s")
    print(f"overall {options.frames / (end - began):.2f} frames/s")


if __name__ == "__main__":
    main()
