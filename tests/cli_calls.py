"""Calls of the command line inside the test's process."""

import sys
from dataclasses import dataclass

import pytest

from drivelet.cli import main

RUN = (sys.executable, "-m", "drivelet.cli", "run", "tiny", "--out")


@dataclass(frozen=True)
class Outcome:
    """Exit code and what was printed."""

    code: int
    out: str
    err: str


def call(capfd: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Run `drivelet ARGUMENTS` and return what came of it."""
    capfd.readouterr()
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    out, err = capfd.readouterr()
    return Outcome(code, out, err)


def done(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run `drivelet ARGUMENTS`, which must succeed, and return its standard output."""
    outcome = call(capfd, *arguments)
    assert outcome.code == 0, outcome.err
    return outcome.out


def refused(capfd: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run `drivelet ARGUMENTS`, which must be refused with one clear line, and return that line."""
    outcome = call(capfd, *arguments)
    assert outcome.code == 2, f"exit code {outcome.code}\n{outcome.err}"
    assert "Traceback" not in outcome.err
    assert "Usage:" not in outcome.err + outcome.out
    lines = outcome.err.strip().splitlines()
    assert [line.startswith("drivelet: ") for line in lines].count(True) == 1
    assert lines[-1].startswith("drivelet: ")
    assert len(lines[-1]) < 600
    return lines[-1].removeprefix("drivelet: ")
