"""Help, versions and what a bare start loads."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cli_calls import call, done

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "diffusers", "bpy", "cv2", "lance", "pyarrow", "sklearn", "scipy", "matplotlib")


def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_cli", ROOT / "docs" / "make_cli.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("start", ["import drivelet", "import drivelet.cli; drivelet.cli.main(['--help'])"])
def test_a_bare_start_loads_nothing_heavy(start: str) -> None:
    code = f"import sys\ntry:\n {start}\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr.split()
    assert "drivelet" in loaded
    assert [name for name in HEAVY if name in loaded] == []


def test_every_command_has_help_with_an_example() -> None:
    module = docs()
    found = dict(module.commands(module.app, module.click.Context(module.app, info_name="drivelet")))
    assert len(found) >= 14
    for name, text in found.items():
        if name != "drivelet prompts":
            assert f"Example: {name} " in " ".join(text.split())


def test_the_page_of_the_command_line_is_current() -> None:
    module = docs()
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run docs/make_cli.py"


def test_help_version_and_a_bare_call(capfd: pytest.CaptureFixture[str]) -> None:
    assert "Usage: drivelet run" in done(capfd, "run", "--help")
    assert "Commands:" in done(capfd)
    assert "drivelet, version " in done(capfd, "--version")


def test_a_fault_of_ours_keeps_its_traceback(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("drivelet.recipes.named.configured", broken)
    outcome = call(capfd, "show", "tiny")
    assert outcome.code == 1
    assert "ZeroDivisionError: ours" in outcome.err


def test_an_interruption_says_how_to_go_on(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("drivelet.recipes.named.configured", interrupted)
    outcome = call(capfd, "show", "tiny")
    assert outcome.code == 130
    assert outcome.err.strip() == "interrupted; the same command goes on from here"
