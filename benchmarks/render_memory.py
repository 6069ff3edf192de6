"""Memory of a long render: `python benchmarks/render_memory.py [--frames 60] [--workers 1] [--every 20] [--out DIR]`.

Prints the resident sets of this process and of the Blender workers every so many frames, and how much each gains a
thousand frames over the second half of the run.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from drivelet import tasks
from drivelet.adapters import blender
from drivelet.synth.domain import DOMAINS
from drivelet.synth.render import RenderConfig, render_frames

POLL_S = 0.5


def main() -> None:
    """Render frames with everything that `drivelet render` writes, and watch the processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--domain", choices=DOMAINS, default="world")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="keep the frames here")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        out, samples, stop = options.out or Path(folder), [], threading.Event()
        watcher = threading.Thread(target=watch, args=(out / "frames", options.every, samples, stop))
        watcher.start()
        config = RenderConfig(
            num_frames=options.frames, seed=options.seed, workers=options.workers, domain=DOMAINS[options.domain]()
        )
        try:
            render_frames(config, gold=tasks.gold, out=out)
        finally:
            stop.set()
            watcher.join()
    print(f"{options.frames} frames in {time.perf_counter() - began:.0f} s, labels and manifest included")
    late = np.array([sample for sample in samples if sample[0] >= options.frames / 2], float)
    if len(late) < 2:
        print("too few frames for a slope; give more --frames or a smaller --every")
        return
    for column, name in ((1, "parent"), (2, "workers")):
        slope = 1000 * np.polyfit(late[:, 0], late[:, column], 1)[0]
        print(f"{name}: {slope:+.1f} MB a thousand frames")


def watch(frames: Path, every: int, samples: list[tuple[int, float, float]], stop: threading.Event) -> None:
    """Print and keep (frames, MB of this process, MB of the workers) whenever `every` more frames lie there."""
    wanted = every
    while not stop.wait(POLL_S):
        count = len(list(frames.glob("*.png"))) if frames.is_dir() else 0
        parent, workers = memory()
        if count >= wanted and workers:  # after the last frame there is no worker any more
            wanted = count - count % every + every
            samples.append((count, parent, workers))
            print("frames {:6d}   parent {:7.1f} MB   workers {:7.1f} MB".format(*samples[-1]), flush=True)


def memory() -> tuple[float, float]:
    """Return the resident sets of this process and of its Blender workers in MB."""
    own, workers = psutil.Process(), 0.0
    for child in own.children(recursive=True):
        try:
            if str(blender.WORKER) in child.cmdline():
                workers += child.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            continue
    return own.memory_info().rss / 1e6, workers


if __name__ == "__main__":
    main()
