"""Memory over long inputs: `python benchmarks/memory.py [--frames 2000 20000] [--rows 200 2000] [--model DIR]`.

Ingests videos of growing length (with a sensor log of 100 Hz) and predicts manifests of growing length, each in a
process of its own, and prints its resident set when a tenth, a half and all of the work is done, and at its peak.
144000 frames are two hours at 20 a second.
"""

import argparse
import sys
import tempfile
import threading
import time
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import av
import numpy as np
import psutil
from PIL import Image

from drivelet.core.flow import peak_rss_mb
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.recipes.named import predict
from drivelet.recipes.settings import mini

FPS, HZ = 20, 100
SHARES = (0.1, 0.5, 1.0)


def main() -> None:
    """Measure every size of both commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="*", default=[2000, 20000])
    parser.add_argument("--rows", type=int, nargs="*", default=[200, 2000])
    parser.add_argument("--model", default=mini("student-mini"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for frames in options.frames:
            write_drive(folder / "drive", frames)
            apart("ingest", frames, "frames", run_ingest, folder / "drive", folder / "ingested")
        write_images(folder / "images")
        for rows in options.rows:
            apart("predict", rows, "rows", run_predict, write_manifest(folder, rows), options.model)


def apart(what: str, size: int, unit: str, function, *arguments: object) -> None:
    """Run in a fresh process, so that one size's peak is not another's."""
    process = get_context("spawn").Process(target=watched, args=(f"{what} {size} {unit}", function, arguments))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(process.exitcode)


def watched(title: str, function, arguments: tuple[object, ...]) -> None:
    """Run and print the resident set on the way."""
    samples: list[float] = []
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(samples, stop))
    watcher.start()
    began = time.perf_counter()
    function(*arguments)
    stop.set()
    watcher.join()
    points = [samples[min(len(samples) - 1, int(share * len(samples)))] for share in SHARES]
    told = ", ".join(f"{mb:.0f} MB at {share:.0%}" for share, mb in zip(SHARES, points, strict=True))
    print(f"{title}: {told}; peak {peak_rss_mb():.0f} MB, {time.perf_counter() - began:.0f} s", flush=True)


def watch(samples: list[float], stop: threading.Event) -> None:
    """Keep MB of this process ten times a second."""
    process = psutil.Process()
    while True:
        samples.append(process.memory_info().rss / 1e6)
        if stop.wait(0.1):
            return


def run_ingest(source: Path, out: Path) -> None:
    """Ingest into a folder of its own."""
    ingest(IngestConfig(), source=source, out=Path(tempfile.mkdtemp(dir=out.parent)))


def run_predict(manifest: Path, model: str) -> None:
    """Predict one task, the blind control with it."""
    out = manifest.with_suffix(".jsonl")
    predict(model, manifest, out=out, library=None, names=["traffic_light"], blind=True, threads=1)


def write_drive(folder: Path, frames: int) -> None:
    """Write a video and its sensor log; pictures of noise move nothing and compress badly."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    noise = [av.VideoFrame.from_ndarray(rng.integers(0, 255, (48, 64, 3), np.uint8), format="rgb24") for _ in range(20)]
    with av.open(str(folder / "drive.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for number in range(frames):
            picture = noise[number % len(noise)]
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    with (folder / "drive.csv").open("w", encoding="utf-8") as log:
        log.write("timestamp_s,speed_mps,yaw_rate_radps,acceleration_mps2\n")
        log.writelines(f"{n / HZ},{10 + n % 500 / 100},0.1,0.5\n" for n in range(frames * HZ // FPS))


def write_images(folder: Path) -> None:
    """Write fifty pictures, which the rows of a manifest show in turn."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(50):
        Image.fromarray(rng.integers(0, 255, (96, 128, 3), np.uint8)).save(folder / f"{number}.png")


def write_manifest(folder: Path, rows: int) -> Path:
    """Write a manifest whose every row has a sensor text of its own."""
    path = folder / f"manifest{rows}.csv"
    with path.open("w", encoding="utf-8") as stream:
        stream.write("path,task,label,split,group,sensor\n")
        stream.writelines(f"images/{n % 50}.png,,,,,speed {n} m/s\n" for n in range(rows))
    return path


if __name__ == "__main__":
    main()
