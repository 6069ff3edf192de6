"""Frames a second of the renderer at 320x192, and the same scenes with BlenderProc's settings.

`python benchmarks/render.py [--frames 40] [--workers 2] [--domain world] [--blenderproc-frames 4]`
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from drivelet.adapters import blender
from drivelet.synth.domain import DOMAINS, DomainConfig
from drivelet.synth.render import frame_jobs
from drivelet.synth.scene import sample_scene

BLENDERPROC = "2.8.0"
DEFAULTS: Mapping[str, Any] = {
    "cycles.samples": 1024, "cycles.use_adaptive_sampling": True, "cycles.adaptive_threshold": 0.01,
    "cycles.max_bounces": 3, "cycles.diffuse_bounces": 3, "cycles.glossy_bounces": 0,
    "cycles.transmission_bounces": 0, "cycles.transparent_max_bounces": 8, "cycles.volume_bounces": 0,
    "cycles.use_light_tree": False, "cycles.denoising_quality": "HIGH", "cycles.denoising_prefilter": "ACCURATE",
    "cycles.caustics_reflective": True, "cycles.caustics_refractive": True, "cycles.sample_clamp_indirect": 10.0,
    "render.use_persistent_data": True, "world.sampling_method": "AUTOMATIC",
}  # fmt: skip
"""What `bproc.init()` of BlenderProc 2.8.0 sets (its documented defaults), and Blender's own where it sets nothing."""
TUNED: Mapping[str, Any] = {
    **DEFAULTS, "cycles.samples": 2, "cycles.use_adaptive_sampling": False, "cycles.max_bounces": 1,
    "cycles.diffuse_bounces": 1,
}  # fmt: skip
"""The same with what its interface lets one choose: samples, noise threshold, bounces."""


def main() -> None:
    """Print the rate with and without the workers' start, and the ratios of BlenderProc's settings to ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--domain", choices=DOMAINS, default="world")
    parser.add_argument("--blenderproc-frames", type=int, default=4, help="how many of the frames; 0 leaves it out")
    options = parser.parse_args()
    domain = DOMAINS[options.domain]()
    with tempfile.TemporaryDirectory() as folder:
        own = rate(Path(folder) / "own", domain, options.frames, options.workers)
    print(f"frames {options.frames}, workers {options.workers}, 320x192, {options.domain} domain")
    print(f"steady {own['steady']:.2f} frames/s; start and first frame {own['start']:.1f} s")
    print(f"overall {own['overall']:.2f} frames/s")
    if options.blenderproc_frames:
        compare(domain, options.blenderproc_frames)


def rate(out: Path, domain: DomainConfig, frames: int, workers: int) -> dict[str, float]:
    """Render the first frames of seed 0; return frames a second and the seconds of the start."""
    jobs = frame_jobs((sample_scene(0, i, domain) for i in range(frames)), out)
    out.mkdir()
    began = time.perf_counter()
    finished = blender.render(jobs, workers=workers, log=out / "blender.log")
    next(finished)
    first = time.perf_counter()
    for _ in finished:
        continue
    end = time.perf_counter()
    return {"steady": (frames - 1) / (end - first), "start": first - began, "overall": frames / (end - began)}


def compare(domain: DomainConfig, frames: int) -> None:
    """Render the same frames on one worker with each set of settings, and print processor time a frame and ratios."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        own, defaults, tuned = (
            seconds_a_frame(out / name, domain, frames, settings)
            for name, settings in (("own", None), ("defaults", DEFAULTS), ("tuned", TUNED))
        )
    print(
        f"BlenderProc {BLENDERPROC} needs Blender 4.2 and does not run on 5.0: its settings are applied in our worker"
    )
    print(f"the same {frames} scenes on one worker, one thread, in seconds of processor time a frame:")
    print(f"ours {own:.2f}; BlenderProc's defaults {defaults:.2f}; tuned by its own interface {tuned:.2f}")
    print(f"ratio of BlenderProc's defaults to ours {defaults / own:.2f}; of the tuned ones to ours {tuned / own:.2f}")


def seconds_a_frame(out: Path, domain: DomainConfig, frames: int, settings: Mapping[str, Any] | None) -> float:
    """Return the worker's processor time a frame after the first, which pays for its start."""
    out.mkdir()
    counted = threading.Event()

    def jobs() -> Iterator[blender.Job]:
        for job in frame_jobs((sample_scene(0, i, domain) for i in range(frames + 1)), out):
            yield replace(job, cycles=settings)
        counted.wait()  # a worker without a next job ends, and its times with it

    finished = blender.render(jobs(), log=out / "blender.log")
    next(finished)
    began = processor_seconds()
    for _ in range(frames):
        next(finished)
    spent = processor_seconds() - began
    counted.set()
    finished.close()
    return spent / frames


def processor_seconds() -> float:
    """Return the processor time of the Blender workers so far; other work on the machine hardly changes it."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(time.user + time.system for time in times)


if __name__ == "__main__":
    main()
