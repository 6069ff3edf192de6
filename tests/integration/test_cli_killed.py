"""A run that is killed goes on and ends with the same tables, wherever it was and whichever of its processes it was."""

import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli_calls import RUN
from drivelet.core.flow import MANIFEST

COSTS = ("fps", "fps_low", "fps_high", "ms", "peak_rss_mb", "model_mb")
SEED = 11
STARTED_S = 4.0
"""Imports take about this long; a kill comes at a random moment after it."""


def summary(run: Path) -> dict[str, Any]:
    """The tables without what a stopwatch says."""
    found = json.loads((run / "summary.json").read_text())
    for row in found["rows"]:
        for name in COSTS:
            row.pop(name, None)
    return found


def finished_stages(run: Path) -> set[str]:
    return {path.parent.name.rpartition("-")[0] for path in (run / "stages").glob(f"*/{MANIFEST}")}


def seconds_of_stages(run: Path) -> list[float]:
    """How long each stage took, in the order in which they ran."""
    manifests = sorted((run / "stages").glob(f"*/{MANIFEST}"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text())["seconds"] for path in manifests]


def kill_one(rng: random.Random, process: "subprocess.Popen[bytes]") -> str:
    """Kill the run itself or one of its workers, renderers and measuring children; return which it was."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return "ended"
    victim = rng.choice(family) if family and rng.random() < 0.5 else None
    if victim is None:
        process.kill()
        return "run"
    try:
        victim.kill()
    except psutil.NoSuchProcess:
        return "ended"
    return "child"


def command(out: Path, workers: int) -> list[str]:
    return [*RUN, str(out), "--workers", str(workers)]


def disturbed(
    out: Path, rng: random.Random, *, kills: int, longest_s: float, workers: int
) -> Iterator[tuple[str, int, str]]:
    """Start the run again and again and kill one of its processes each time; yield victim, exit code and last line."""
    for _ in range(kills):
        with subprocess.Popen(command(out, workers), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + STARTED_S + rng.random() * longest_s
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            victim = kill_one(rng, process) if process.poll() is None else "ended"
            _, told = process.communicate(timeout=600)
        yield victim, process.returncode, told.decode(errors="replace")
        if (out / "summary.json").exists():
            return


def check_disturbed(whole: Path, out: Path, *, kills: int, workers: int) -> None:
    """Kill `kills` times, in one run after the other, and compare each with a whole one of as many workers: threads
    are shared among them, and round.
    """
    rng = random.Random(SEED)
    longest_s = 1.5 * sum(seconds_of_stages(whole)) / kills
    used = number = 0
    while used < kills:
        number += 1
        place = out / str(number)
        for victim, code, told in disturbed(place, rng, kills=kills - used, longest_s=longest_s, workers=workers):
            used += victim != "ended"
            if victim == "child":
                assert code in (0, 1, 2), told
                assert "Traceback" not in told, told
        ended = subprocess.run(command(place, workers), capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        assert finished_stages(place) == finished_stages(whole)
        assert summary(place) == summary(whole)


def test_killed_at_three_random_moments_it_ends_with_the_same_tables(tiny_run: Path, tmp_path: Path) -> None:
    check_disturbed(tiny_run, tmp_path / "out", kills=3, workers=1)


@pytest.mark.fuzz
def test_killed_at_thirty_random_moments_it_ends_with_the_same_tables(tmp_path: Path) -> None:
    whole = subprocess.run(command(tmp_path / "whole", 2), capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    check_disturbed(tmp_path / "whole", tmp_path / "out", kills=30, workers=2)
