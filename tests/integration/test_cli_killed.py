"""A run that is killed goes on and ends with the same tables."""

import json
import random
import subprocess
import time
from pathlib import Path
from typing import Any

from cli_calls import RUN
from drivelet.core.flow import MANIFEST

COSTS = ("fps", "fps_low", "fps_high", "peak_rss_mb", "model_mb")
SEED = 11


def summary(run: Path) -> dict[str, Any]:
    """The tables without what a stopwatch says."""
    found = json.loads((run / "summary.json").read_text())
    for row in found["rows"]:
        for name in COSTS:
            del row[name]
    return found


def seconds_of_stages(run: Path) -> list[float]:
    """How long each stage took, in the order in which they ran."""
    manifests = sorted((run / "stages").glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text())["seconds"] for path in manifests]


def run_until(out: Path, stages: int, then: float) -> int:
    """Run until the given number of stages has begun, let it go on for `then` seconds, and kill it."""
    with subprocess.Popen([*RUN, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and len(list(out.glob("stages/*"))) < stages:
            time.sleep(0.02)
        time.sleep(then)
        process.kill()
    return process.returncode


def test_killed_at_three_random_points_it_ends_with_the_same_tables(tiny_run: Path, tmp_path: Path) -> None:
    seconds = seconds_of_stages(tiny_run)
    rng = random.Random(SEED)
    points = sorted(rng.sample(range(len(seconds) - 1), 3))
    for point in points:
        assert run_until(tmp_path, point + 1, rng.random() * seconds[point]) == -9
        assert not (tmp_path / "summary.json").exists()
    ended = subprocess.run([*RUN, str(tmp_path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("done before") >= points[-1]
    assert summary(tmp_path) == summary(tiny_run)
