"""Nothing that lies in the working directory, or above it, is ever run: it may be other people's data."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drivelet.adapters import blender
from drivelet.core.errors import InputError, MissingBackendError
from drivelet.recipes.steps import PredictConfig, measure

MODULES = ("drivelet/__init__.py", "drivelet/cli.py", "torch.py", "click.py", "pickle.py", "socket.py", "struct.py")


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder whose modules and programs, were they run, would leave a file named `sprung` in it."""
    folder = tmp_path / "data" / "drives"
    folder.mkdir(parents=True)
    for name in MODULES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"open({str(folder / 'sprung')!r}, 'w').close()\n")
    for place in (folder, folder.parent):
        program(place / ".venv-blender" / "bin" / "python", folder)
    program(folder / "blender", folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv(blender.ENVIRONMENT, raising=False)
    return folder


def program(path: Path, folder: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n: > '{folder}/sprung'\n")
    path.chmod(0o755)
    return path


def checkout(root: Path, name: str = "drivelet") -> Path:
    """Write what a checkout with its own Blender is recognised by."""
    root.mkdir()
    (root / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    program(root / ".venv-blender" / "bin" / "python", root)
    return root


@pytest.mark.parametrize("path", ["", ".", ":", "drives", "/usr/bin:", "/usr/bin:."])
def test_blender_is_not_looked_for_in_the_working_directory(
    trap: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    monkeypatch.setattr(blender, "CHECKOUT", tmp_path)
    monkeypatch.setenv("PATH", path)
    with pytest.raises(MissingBackendError, match="make setup"):
        blender.find_blender()
    monkeypatch.setenv(blender.ENVIRONMENT, "blender")
    with pytest.raises(MissingBackendError, match="DRIVELET_BLENDER=blender: no such program"):
        blender.find_blender()


def test_blender_is_found_by_the_variable_in_the_checkout_and_on_the_path(
    trap: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = checkout(tmp_path / "own") / ".venv-blender" / "bin" / "python"
    system = program(tmp_path / "bin" / "blender", trap)
    monkeypatch.setenv("PATH", f"/usr/bin:{system.parent}")
    monkeypatch.setattr(blender, "CHECKOUT", tmp_path / "own")
    assert blender.find_blender()[0] == str(own)
    monkeypatch.setattr(blender, "CHECKOUT", checkout(tmp_path / "another", "other"))
    assert blender.find_blender()[0] == str(system)
    for name in (str(own), "blender"):
        monkeypatch.setenv(blender.ENVIRONMENT, name)
        assert blender.find_blender()[0] == {"blender": str(system)}.get(name, name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("given", ["", "bin", "bin/python"])
def test_a_blender_that_another_user_could_change_is_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str
) -> None:
    root = checkout(tmp_path / "own")
    os.chown(root / ".venv-blender" / given, 12345, -1)
    monkeypatch.setattr(blender, "CHECKOUT", root)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(blender.ENVIRONMENT, raising=False)
    with pytest.raises(MissingBackendError):
        blender.find_blender()


def test_a_measured_model_s_process_imports_nothing_from_the_working_directory(trap: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError):
        measure(
            PredictConfig(), model=tmp_path / "no-model", manifest=tmp_path / "no.csv", prompts=None, key="",
            out=tmp_path / "out",
        )  # fmt: skip
    assert not (trap / "sprung").exists()


def test_pool_workers_import_nothing_from_the_working_directory(trap: Path, tmp_path: Path) -> None:
    code = "import operator; from drivelet.adapters.executors import LocalExecutor as Local\n"
    code += "if __name__ == '__main__': print(Local(workers=2).map(operator.neg, [1, 2]))"
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run([sys.executable, tmp_path / "script.py"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("[-1, -2]\n", 0), done.stderr
    assert not (trap / "sprung").exists()


def test_the_command_itself_imports_nothing_from_the_working_directory(trap: Path) -> None:
    command = Path(sys.executable).parent / "drivelet"
    for arguments in (["--version"], ["ingest", "nowhere", "--out", "out"], ["render", "--out", "out", "--plan"]):
        subprocess.run([command, *arguments], capture_output=True, check=False)
    assert not (trap / "sprung").exists()


def test_plots_follow_no_settings_of_the_working_directory(trap: Path) -> None:
    (trap / "matplotlibrc").write_text("text.usetex: True\naxes.facecolor: red\n")
    code = (
        "from drivelet.report.plots import rejections_plot as plot; print(hash(plot([{'rejected': {'small': 0.5}}])))"
    )
    command = [sys.executable, "-P", "-W", "error", "-c", code]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    there, elsewhere = (
        subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout
        for folder in (trap, "/")
    )
    assert there == elsewhere != ""
