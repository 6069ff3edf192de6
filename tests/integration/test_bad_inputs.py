"""Bad inputs over all commands: exit code 2 and one line within ten seconds, no file harmed, nothing left behind."""

import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bad_inputs import Case, all_cases, digest, make_world
from cli_calls import call

LIMIT_S = 10
NO_BLENDER = "/nowhere/python"
OUTPUTS = ("out", "fifo", "loop", "review.lock")
RESULTS = ("manifest.csv", "manifest.json", "summary.json", "study.json", "prompts.json", "preds.jsonl", "drive.json",
           "labels.jsonl", "rounds.json", "report.html", "plan.jsonl", "config.json")  # fmt: skip


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """A folder with a good file of every kind; do not write into it."""
    return make_world(tmp_path_factory.mktemp("world"), tiny_folder)


@contextlib.contextmanager
def alarm() -> Iterator[list[str]]:
    """Interrupt what takes too long, and note that it did: what is interrupted may swallow the error."""
    rung: list[str] = []

    def ring(number: int, frame: object) -> None:
        rung.append(f"more than {LIMIT_S} s")
        raise TimeoutError(rung[0])

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S, 1)
    try:
        yield rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def refusal_faults(case: Case, capfd: pytest.CaptureFixture[str]) -> list[str]:
    """Run a case in the current folder; return what is wrong with how it was refused."""
    case.spoil()
    before = digest(Path.cwd(), outputs=OUTPUTS)
    with alarm() as faults:
        outcome = call(capfd, *shlex.split(case.command))
    lines = outcome.err.strip().splitlines()
    said = [line for line in lines if line.startswith("drivelet: ")]
    if outcome.code != 2:
        faults.append(f"exit code {outcome.code}: {lines[-1] if lines else outcome.out[-200:]}")
    elif len(said) != 1 or lines[-1] != said[0]:
        faults.append(f"not one line: {lines}")
    elif len(said[0]) > 600:
        faults.append(f"a line of {len(said[0])} characters: {said[0][:200]}")
    elif NO_BLENDER in said[0]:
        faults.append("taken as good: only the renderer was missed")
    if "Traceback" in outcome.err or "Usage:" in outcome.err + outcome.out:
        faults.append("traceback or usage")
    after = digest(Path.cwd(), outputs=OUTPUTS)
    if after != before:
        faults.append(f"changed: {sorted(set(before.items()) ^ set(after.items()))[:3]}")
    left = [str(path) for path in Path("out").rglob("*") if path.name in RESULTS and "stages" not in path.parts]
    if left:
        faults.append(f"left behind: {left}")
    return faults


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_bad_input_is_refused_with_one_line(
    case: Case, world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "w"
    shutil.copytree(world, place, symlinks=True, copy_function=os.link)
    monkeypatch.chdir(place)
    monkeypatch.setenv("DRIVELET_BLENDER", NO_BLENDER)
    faults = refusal_faults(case, capfd)
    assert not faults, f"{case.command}: {'; '.join(faults)}"
