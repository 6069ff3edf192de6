"""Bad inputs over all commands: exit code 2 and one line within ten seconds, no file harmed, nothing left behind."""

import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bad_calls import input_cases, output_cases, setting_cases
from bad_files import file_cases
from bad_world import Case, digest, make_world
from cli_calls import call
from drivelet.cli import app
from random_faults import random_cases

CASES = [*file_cases(), *setting_cases(), *output_cases(), *input_cases()]
LIMIT_S = 10
NO_BLENDER = "/nowhere/python"
PARTS = {"stages", "ingested", "search"}
"""Folders of finished parts of a command that did not finish: they are found by what they were made from."""
OUTPUTS = ("out", "fifo", "loop", "review.lock", "report.html")
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


@dataclass(frozen=True)
class Found:
    """What came of a case: the exit code and everything that is wrong with it."""

    code: int
    faults: list[str]


def run_case(case: Case, capfd: pytest.CaptureFixture[str]) -> Found:
    """Run a case in the current folder and look at what any bad input must come to, refused or taken."""
    case.spoil()
    before = digest(Path.cwd(), outputs=OUTPUTS)
    with alarm() as faults:
        outcome = call(capfd, *shlex.split(case.command))
    lines = outcome.err.strip().splitlines()
    said = [line for line in lines if line.startswith("drivelet: ")]
    if outcome.code not in (0, 2):
        faults.append(f"exit code {outcome.code}: {lines[-1] if lines else outcome.out[-200:]}")
    if outcome.code == 2:
        faults += _line_faults(lines, said)
    if "Traceback" in outcome.err or "Usage:" in outcome.err + outcome.out:
        faults.append("traceback or usage")
    after = digest(Path.cwd(), outputs=OUTPUTS)
    if after != before:
        faults.append(f"changed: {sorted(set(before.items()) ^ set(after.items()))[:3]}")
    return Found(outcome.code, faults)


def _line_faults(lines: list[str], said: list[str]) -> list[str]:
    if len(said) != 1 or lines[-1] != said[0]:
        return [f"not one line: {lines}"]
    if len(said[0]) > 600:
        return [f"a line of {len(said[0])} characters: {said[0][:200]}"]
    return ["taken as good: only the renderer was missed"] if NO_BLENDER in said[0] else []


@pytest.fixture
def place(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the world, in which the command is called; there is no renderer."""
    shutil.copytree(world, tmp_path / "w", symlinks=True, copy_function=os.link)
    monkeypatch.chdir(tmp_path / "w")
    monkeypatch.setenv("DRIVELET_BLENDER", NO_BLENDER)
    return tmp_path / "w"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_input_is_refused_with_one_line(case: Case, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = run_case(case, capfd)
    made = [*(place / "out").rglob("*"), *(place / "run").glob("*.html")]
    left = [str(path) for path in made if path.name in RESULTS and not PARTS & {*path.parts}]
    faults = [*found.faults, *([] if found.code else ["taken as good"]), *(f"left behind: {path}" for path in left)]
    assert not faults, f"{case.command}: {'; '.join(faults)}"


def test_there_are_many_cases_of_every_command() -> None:
    assert len(CASES) >= 400
    tried = {case.command.split()[0] for case in CASES}
    assert tried >= app.commands.keys()


@pytest.mark.parametrize("case", random_cases(60, seed=1), ids=lambda case: case.name)
def test_a_random_fault_is_refused_or_harmless(case: Case, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _check_random(case, capfd)


@pytest.mark.fuzz
@pytest.mark.parametrize("case", random_cases(3000, seed=2), ids=lambda case: case.name)
def test_many_random_faults_are_refused_or_harmless(case: Case, place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _check_random(case, capfd)


def _check_random(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    faults = [fault for fault in run_case(case, capfd).faults if not fault.startswith("taken as good")]
    assert not faults, f"{case.command}: {'; '.join(faults)}"
