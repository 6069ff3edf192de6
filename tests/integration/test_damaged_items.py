"""One rule for all commands: a damaged item is left out, named and counted, and the job ends well; --strict stops."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli_calls import call, refused
from drive_files import damage, write_images, write_video
from drivelet import tasks
from drivelet.core.manifest import Row, write_manifest
from drivelet.recipes.tiny import SHAPE
from drivelet.vlm.fresh import save_fresh_model

Capture = pytest.CaptureFixture[str]
STATE = "traffic_light.state"
BAD = "007.jpg"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from drivelet.recipes.pretrain_minis import corpus

    texts = corpus(tasks.fields().values())
    return save_fresh_model(tmp_path_factory.mktemp("models") / "m", SHAPE, corpus=texts, seed=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures, of which one is cut short, one is thin, and one has a single pixel; and their manifest."""
    made = tmp_path / "pictures"
    made.mkdir()
    rows = []
    for n in range(12):
        coarse = np.random.default_rng(n).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        size = {3: (800, 3), 4: (1, 1)}.get(n, (64, 48))
        path = made / f"{n:03d}.jpg"
        Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR).save(path)
        split = ("train", "val", "test")[n % 3] if n != 7 else "train"
        rows.append(Row(path=str(path), task=STATE, label=("red", "green")[n % 2], split=split, group=f"g{n}"))
    bad = made / BAD
    bad.write_bytes(bad.read_bytes()[:400])
    write_manifest(made / "manifest.csv", rows)
    return made


def in_every_split(folder: Path) -> Path:
    """A manifest in which the damaged picture stands once in each split."""
    rows = [
        Row(
            path=str(folder / f"{n:03d}.jpg"),
            task=STATE,
            label=("red", "green")[n % 2],
            split=split,
            group=f"{n}{split}",
        )
        for split in ("train", "val", "test")
        for n in (0, 1, 2, 7)
    ]
    write_manifest(folder / "every.csv", rows)
    return folder / "every.csv"


Command = Callable[[Path, Path, Path], tuple[object, ...]]
COMMANDS: dict[str, Command] = {
    "predict": lambda m, f, out: ("predict", m, f, "--out", out / "p.jsonl"),
    "predict a manifest": lambda m, f, out: ("predict", m, f / "manifest.csv", "--out", out / "p.jsonl"),
    "label": lambda m, f, out: ("label", drive(f), "--out", out, "--teacher", m),
    "label with gold": lambda m, f, out: ("label", good_drive(f), "--out", out, "--teacher", m,
                                          "--gold", in_every_split(f)),
    "mix": lambda m, f, out: ("mix", f / "manifest.csv", "--out", out, "--set", "looks.min_sharpness=0"),
    "distil": lambda m, f, out: ("distil", "--teacher", m, "--student", m, "--data", in_every_split(f), "--out", out,
                                 "--set", "steps=1"),
    "bench": lambda m, f, out: ("bench", m, "--data", in_every_split(f), "--out", out),
}  # fmt: skip


def drive(folder: Path) -> Path:
    """Pictures of one size, as a drive has them, one of them cut short."""
    made = write_images(folder.parent / "drive", [f"{n:03d}.jpg" for n in range(5, 9)])
    (made / BAD).write_bytes((made / BAD).read_bytes()[:300])
    return made


def good_drive(folder: Path) -> Path:
    return write_images(folder.parent / "whole", ["0.png", "1.png"])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_damaged_picture_ends_no_command(
    name: str, model: Path, folder: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = COMMANDS[name](model, folder, tmp_path / "out")
    outcome = call(capfd, *command)
    assert outcome.code == 0, outcome.err
    said = outcome.err + outcome.out
    assert BAD in said or "1 of 4 frames skipped" in said, said
    strict = COMMANDS[name](model, folder, tmp_path / "strict")
    line = refused(capfd, *strict, "--strict")
    assert BAD in line or "1 frames are damaged" in line


def test_predictions_of_a_damaged_video_count_what_is_missing(model: Path, tmp_path: Path, capfd: Capture) -> None:
    video = write_video(tmp_path / "drive.mp4", frames=8, noise=True)
    damage(video, packets=(3,))
    out = tmp_path / "p.jsonl"
    outcome = call(capfd, "predict", model, video, "--out", out, "--tasks", STATE)
    assert outcome.code == 0, outcome.err
    frames = [json.loads(line)["frame"] for line in out.read_text().splitlines()]
    lost = 8 - len(frames)
    assert lost >= 1 and 3 not in frames
    assert f"{lost} left out" in outcome.out and "drive.mp4 frame 3: it cannot be decoded" in outcome.err
    assert json.loads(out.with_suffix(".cost.json").read_text())["skipped"] == lost
    assert "drive.mp4 frame 3" in refused(capfd, "predict", model, video, "--out", out, "--strict")


def test_things_that_are_no_files_are_left_out(model: Path, tmp_path: Path, capfd: Capture) -> None:
    import os

    folder = write_images(tmp_path / "pictures", ["0.png", "1.png"])
    (folder / "2.png").mkdir()
    os.mkfifo(folder / "3.png")
    (folder / "4.png").symlink_to(folder / "nowhere.png")
    outcome = call(capfd, "predict", model, folder, "--out", tmp_path / "p.jsonl", "--tasks", STATE)
    assert outcome.code == 0, outcome.err
    assert "2 images, 3 left out" in outcome.out
    assert all(f"left out: {folder / name}.png" in outcome.err for name in "234")


def test_a_folder_without_one_readable_picture_is_one_line(model: Path, tmp_path: Path, capfd: Capture) -> None:
    folder = write_images(tmp_path / "pictures", ["0.png", "1.png"])
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:60])
    assert "none of 2 pictures can be read" in refused(capfd, "predict", model, folder, "--out", tmp_path / "p.jsonl")
    assert not list(tmp_path.glob("p.jsonl*"))


def test_prompts_and_mining_leave_a_damaged_picture_out(
    model: Path, folder: Path, tmp_path: Path, capfd: Capture
) -> None:
    found = call(
        capfd, "prompts", "optimise", model, "--data", in_every_split(folder), "--out", tmp_path / "prompts",
        "--set", "rounds=1", "--set", "budget_calls=40",
    )  # fmt: skip
    assert found.code == 0 and BAD in found.err, found.err
    mined = call(
        capfd, "mine", folder / "manifest.csv", "--out", tmp_path / "mined", "--embedder", model, "--budget", 3
    )
    assert mined.code == 0 and BAD in mined.err, mined.err
