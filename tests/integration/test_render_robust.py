"""What goes wrong while rendering: killed processes and full disks; no half frame is ever taken for a whole one."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import small_disks
from drivelet import tasks
from drivelet.adapters import blender
from drivelet.core.errors import InputError, MissingBackendError
from drivelet.synth.domain import narrow
from drivelet.synth.render import RenderConfig, frame_jobs, render_frames, render_scenes
from drivelet.synth.scene import sample_scene

try:
    blender.find_blender()
except MissingBackendError as error:
    pytest.skip(str(error), allow_module_level=True)

FRAMES = 3
COMMAND = (sys.executable, "-m", "drivelet.cli", "render", "--num-frames", str(FRAMES), "--domain", "narrow", "--out")


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    render_frames(RenderConfig(num_frames=FRAMES, domain=narrow()), gold=tasks.gold, out=out)
    return out


def check_whole(out: Path, undisturbed: Path, *, complete: bool) -> int:
    """Every file with its final name is the one of the undisturbed run; return how many frames there are."""
    found = sorted((out / "frames").glob("*.png"))
    for image in found:
        assert np.array_equal(pixels(image), pixels(undisturbed / "frames" / image.name))
        labels = Path("labels") / f"{image.stem}.json"
        assert (out / labels).read_bytes() == (undisturbed / labels).read_bytes()
    if complete:
        assert len(found) == FRAMES
        for name in ("manifest.csv", "scenes.jsonl"):
            assert (out / name).read_bytes() == (undisturbed / name).read_bytes()
    else:
        assert not (out / "manifest.csv").exists()
    return len(found)


def workers_of(parent: psutil.Process) -> list[psutil.Process]:
    return [child for child in parent.children(recursive=True) if str(blender.WORKER) in child.cmdline()]


def test_a_killed_command_goes_on_and_ends_as_if_undisturbed(undisturbed: Path, tmp_path: Path) -> None:
    with subprocess.Popen([*COMMAND, str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not list(tmp_path.glob("frames/*.png")):
            time.sleep(0.01)
        workers = workers_of(psutil.Process(process.pid))
        process.kill()
    assert process.returncode == -9
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive, "a worker outlives its caller"
    assert 0 < check_whole(tmp_path, undisturbed, complete=False) < FRAMES
    subprocess.run([*COMMAND, str(tmp_path)], check=True, capture_output=True)
    check_whole(tmp_path, undisturbed, complete=True)


def test_workers_number_and_order_do_not_change_a_pixel_or_a_label(undisturbed: Path, tmp_path: Path) -> None:
    scenes = [sample_scene(0, i, narrow()) for i in range(FRAMES)]
    jobs = list(frame_jobs(scenes, tmp_path))
    list(blender.render(reversed(jobs), workers=2, log=tmp_path / "blender.log"))
    assert check_whole(tmp_path, undisturbed, complete=False) == FRAMES


def test_a_frame_that_was_cut_short_is_rendered_again(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    cut = tmp_path / "frames" / "000002.png"
    cut.write_bytes(cut.read_bytes()[:5000])
    (tmp_path / "labels" / "000001.json").write_text('{"key": "')
    render_frames(RenderConfig(num_frames=FRAMES, domain=narrow()), gold=tasks.gold, out=tmp_path)
    check_whole(tmp_path, undisturbed, complete=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that holds one frame or two."""
    with small_disks.small_disk(tmp_path / "disk", "200k") as mounted:
        yield mounted


def test_a_full_disk_is_one_line_and_with_room_the_same_command_goes_on(undisturbed: Path, disk: Path) -> None:
    refused = subprocess.run([*COMMAND, str(disk / "out")], capture_output=True, text=True, check=False)
    assert refused.returncode == 2, refused.stderr
    lines = [line for line in refused.stderr.splitlines() if line.startswith("drivelet: ")]
    assert len(lines) == 1
    assert lines[0].startswith("drivelet: no space left on the disk while writing")
    assert "Traceback" not in refused.stderr
    assert check_whole(disk / "out", undisturbed, complete=False) < FRAMES
    subprocess.run(["mount", "-o", "remount,size=30m", str(disk)], check=True)
    subprocess.run([*COMMAND, str(disk / "out")], check=True, capture_output=True)
    check_whole(disk / "out", undisturbed, complete=True)


def test_a_full_disk_for_blenders_own_files_is_one_line(disk: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(disk)}
    refused = subprocess.run(
        [*COMMAND, str(tmp_path / "out")], capture_output=True, text=True, check=False, env=environment
    )
    assert refused.returncode == 2, refused.stderr
    assert "Traceback" not in refused.stderr
    assert re.fullmatch(r"drivelet: .*make room there, or set TMPDIR.*", refused.stderr.strip().splitlines()[-1])
    assert not list((tmp_path / "out" / "frames").glob("*.png"))


def test_tables_of_other_scenes_go_before_their_first_frame_is_replaced(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    scene = sample_scene(7, 0, narrow())
    scene["parts"] *= 50  # refused by the worker, as if it had been killed there
    with pytest.raises(InputError, match=r"refused 000000\.png"):
        render_scenes(
            lambda _: scene, 1, split_at=lambda _: "train", workers=1, gold=tasks.gold, out=tmp_path
        )  # fmt: skip
    assert not (tmp_path / "manifest.csv").exists()
    assert not (tmp_path / "scenes.jsonl").exists()
    assert not (tmp_path / "frames" / "000000.png").exists()
