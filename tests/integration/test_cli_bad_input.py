"""Bad input: exit code 2 and one clear line that names the file and says what to do."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import small_disks
from cli_calls import refused
from drive_files import write_images, write_sensors, write_video

Refuse = Callable[..., str]
HEADER = "path,task,label,split,group\n"


@pytest.fixture
def refuse(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refuse:
    """Run a command in an empty folder; it must be refused. Return its one line."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: refused(capfd, *arguments)


def manifest(text: str, header: str = HEADER) -> Path:
    Image.new("RGB", (64, 48)).save("a.png")
    path = Path("manifest.csv")
    path.write_text(header + text)
    return path


def model_without(tiny_folder: Path, *patterns: str) -> Path:
    """A copy of the tiny model that lacks some files."""
    return Path(shutil.copytree(tiny_folder, "model", ignore=shutil.ignore_patterns(*patterns)))


@pytest.mark.parametrize(
    "command",
    [
        "predict {model} nowhere --out preds.jsonl",
        "predict nowhere a.png --out preds.jsonl",
        "predict {model} . --prompts nowhere --out preds.jsonl",
        "ingest nowhere --out out",
        "label nowhere --out out",
        "label . --gold nowhere --out out",
        "mix nowhere --out out",
        "distil --teacher {model} --student {model} --data nowhere --out out",
        "distil --teacher nowhere --student {model} --data . --out out",
        "quantise nowhere --data . --out out",
        "quantise {model} --data nowhere --out out",
        "bench {model} --data nowhere --out out",
        "bench nowhere --data manifest.csv --out out",
        "prompts optimise {model} --data nowhere --out out",
        "prompts optimise nowhere --data manifest.csv --out out",
        "prompts show nowhere",
        "paint --painter nowhere --out out",
        "report nowhere",
        "render --scenes nowhere --out out",
        "run tiny --drives nowhere --out out",
        "run tiny --images nowhere --out out",
    ],
)
def test_a_missing_file_is_named(refuse: Refuse, tiny_folder: Path, command: str) -> None:
    manifest("a.png,traffic_light.state,red,train,g\n")
    line = refuse(*command.format(model=tiny_folder).split())
    assert "nowhere" in line
    assert re.search("no such|no manifest|no image|no prompt|no summary", line)


@pytest.mark.parametrize("command", ["predict {model}", "ingest", "label", "mix"])
def test_an_empty_folder_is_named(refuse: Refuse, tiny_folder: Path, command: str) -> None:
    Path("empty").mkdir()
    assert "empty: no " in refuse(*command.format(model=tiny_folder).split(), "empty", "--out", "out")


@pytest.mark.parametrize("command", ["predict {model}", "ingest", "label"])
def test_a_truncated_video_is_named(refuse: Refuse, tiny_folder: Path, command: str) -> None:
    content = write_video(Path("whole.mp4")).read_bytes()
    Path("cut.mp4").write_bytes(content[: len(content) // 2])
    line = refuse(*command.format(model=tiny_folder).split(), "cut.mp4", "--out", "out")
    assert "cut.mp4: no readable video" in line
    assert line.endswith("record or copy the file again")


def test_a_sensor_log_with_a_wrong_header_is_named(refuse: Refuse) -> None:
    write_video(Path("drive.mp4"))
    write_sensors(Path("drive.csv"))
    Path("drive.csv").write_text(Path("drive.csv").read_text().replace("timestamp_s", "time"))
    assert "drive.csv: header lacks timestamp_s; expected timestamp_s and" in refuse(
        "ingest", "drive.mp4", "--out", "out"
    )


USES_OF_A_MANIFEST = (
    "mix manifest.csv --out out",
    "predict {model} manifest.csv --out preds.jsonl",
    "bench {model} --data manifest.csv --out out",
    "prompts optimise {model} --data manifest.csv --out out",
    "distil --teacher {model} --student {model} --data manifest.csv --out out",
    "label drive.mp4 --gold manifest.csv --out out",
    "run tiny --images manifest.csv --out out --set name=x",
)


@pytest.mark.parametrize("command", USES_OF_A_MANIFEST)
def test_a_manifest_with_a_wrong_header_is_named(refuse: Refuse, tiny_folder: Path, command: str) -> None:
    manifest("a.png,x\n", header="image,task\n")
    write_video(Path("drive.mp4"))
    line = refuse(*command.format(model=tiny_folder).split())
    assert "manifest.csv: header lacks path, label, split, group; expected path," in line


@pytest.mark.parametrize("command", USES_OF_A_MANIFEST[:4])
def test_a_label_outside_its_set_is_named(refuse: Refuse, tiny_folder: Path, command: str) -> None:
    manifest("a.png,traffic_light.state,purple,train,g\n")
    line = refuse(*command.format(model=tiny_folder).split())
    assert "manifest.csv line 2: label 'purple' is outside the set of traffic_light.state" in line


@pytest.mark.parametrize("command", USES_OF_A_MANIFEST[:4])
def test_a_group_that_crosses_splits_is_named(refuse: Refuse, tiny_folder: Path, command: str) -> None:
    manifest("a.png,traffic_light.state,red,train,g\na.png,cone.count,0,val,g\n")
    line = refuse(*command.format(model=tiny_folder).split())
    assert "manifest.csv: group 'g' stands in train and in val; keep it in one split" in line


@pytest.mark.parametrize(
    "command",
    [
        "predict model a.png --out preds.jsonl",
        "bench model --data manifest.csv --out out",
        "distil --teacher model --student {model} --data manifest.csv --out out",
        "quantise model --data manifest.csv --out out",
    ],
)
def test_a_model_without_processor_is_named(refuse: Refuse, tiny_folder: Path, command: str) -> None:
    split = "val" if "bench" in command else "train"
    manifest(f"a.png,traffic_light.state,red,{split},g\n")
    model_without(tiny_folder, "preprocessor_config.json")
    line = refuse(*command.format(model=tiny_folder).split())
    assert "model: the model folder has no image processor (preprocessor_config.json" in line
    assert line.endswith("save the processor there")


def test_pickled_weights_are_not_read(refuse: Refuse, tiny_folder: Path) -> None:
    manifest("")
    (model_without(tiny_folder, "*.safetensors") / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    line = refuse("predict", "model", "a.png", "--out", "preds.jsonl")
    assert "model: no .safetensors weights; other formats are not read, convert the model first" in line


def test_damaged_weights_are_named(refuse: Refuse, tiny_folder: Path) -> None:
    manifest("")
    weights = model_without(tiny_folder) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "model" in refuse("predict", "model", "a.png", "--out", "preds.jsonl")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("notes.txt", "neither an image, a video nor a manifest by its name"),
        ("notes.png", "no readable image"),
        ("notes.mp4", "no readable video"),
        ("notes.csv", "header lacks path"),
    ],
)
def test_predict_refuses_text_under_any_name(refuse: Refuse, tiny_folder: Path, name: str, message: str) -> None:
    Path(name).write_text("Drive carefully.\n")
    line = refuse("predict", tiny_folder, name, "--out", "preds.jsonl")
    assert name in line
    assert message in line
    assert not Path("preds.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("show tiny --set distil.stepz=3", "--set distil.stepz: unknown key 'stepz'; did you mean steps?"),
        ("show tiny --set distil.steps.more=3", "--set distil.steps.more: steps has no parts"),
        ("show tiny --set distil.steps", "--set distil.steps: write it as key=value"),
        ("show tiny --set distil.steps=many", "--set distil.steps=many: no value of type int"),
        ("run tiny --out out --set nonsense=1", "--set nonsense: unknown key"),
        ("ingest drive.mp4 --out out --set image_fps=fast", "--set image_fps=fast: no value of type float"),
        ("mix a.csv --out out --set real_shar=1", "did you mean real_share?"),
        ("show tinny", "tinny: no such recipe; did you mean tiny?"),
        ("run nothing", "nothing: no such recipe; known are mini"),
        ("run tiny --colour red", "No such option '--colour'"),
        ("flyy", "No such command 'flyy'"),
        ("render --out out --num-frames many", "'many' is not a valid integer"),
        ("render --out out --num-frames 0", "0 is not in the range x>=1"),
        ("render --out out", "render: give either --num-frames N or --num-drives N"),
        ("render --out out --num-frames 2 --scenes a", "render: give either --num-frames N or --num-drives"),
        ("render --out out --num-frames 1 --domain moon", "'moon' is not one of 'world', 'town', 'full', 'narrow'"),
        ("render --out out --num-drives 1 --recipe night", "render: --recipe draws frames of the world domain"),
        ("render --out out --num-frames 1 --recipe night --domain full", "render: --recipe draws frames of the world"),
        ("render --out out --num-frames 1 --recipe nothing", "recipe 'nothing' is none of "),
        ("render --out out --scenes a --domain full", "render: --scenes names every scene itself; leave --domain out"),
        ("render --out out --num-drives 1 --plan", "render: --plan writes the scenes of --num-frames N; give that"),
        ("render --num-frames 2", "Missing option '--out'; see `drivelet render --help`"),
        ("quantise model --data d --out out --bits 5", "'5' is not one of '4', '8'"),
        ("predict model a.png --out p.jsonl --tasks cones", "--tasks cones: no such task or field; known are"),
    ],
)
def test_a_wrong_word_is_named(refuse: Refuse, arguments: str, message: str) -> None:
    assert message in refuse(*arguments.split())


def test_a_missing_blender_is_named(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVELET_BLENDER", "/nowhere/python")
    line = refuse("render", "--num-frames", "1", "--out", "out")
    assert line == "DRIVELET_BLENDER=/nowhere/python: no such program; name a Python with bpy, or blender"


def test_a_bad_scene_file_is_named_before_blender_starts(refuse: Refuse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVELET_BLENDER", "/nowhere/python")
    Path("scenes.jsonl").write_text('{"id": "a", "camera": 3}\n')
    line = refuse("render", "--scenes", "scenes.jsonl", "--out", "out")
    assert line.startswith("scenes.jsonl line 1: ")
    assert line.endswith("; correct the scene")
    assert not Path("out").exists()


def test_an_out_folder_that_is_a_file_is_named(refuse: Refuse) -> None:
    write_images(Path("drive"), ["000.png", "001.png"])
    Path("out").write_text("")
    assert "out: " in refuse("ingest", "drive", "--out", "out")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one page, which takes a folder and no more."""
    with small_disks.small_disk(tmp_path / "disk", "4k") as mounted:
        yield mounted


def test_a_disk_that_fills_up_under_a_table_is_named(refuse: Refuse, small_disk: Path) -> None:
    """The tables' writer is not Python's and reports a full disk in its own words."""
    write_video(Path("drive.mp4"))
    line = refuse("ingest", "drive.mp4", "--out", small_disk / "out")
    assert line.startswith("no space left on the disk")


def test_a_disk_that_fills_up_under_a_mix_is_named(refuse: Refuse, small_disk: Path) -> None:
    manifest("a.png,traffic_light.state,red,train,g\n")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)).save("a.png")
    line = refuse("mix", "manifest.csv", "--out", small_disk / "out", "--set", "val_share=0")
    assert line.startswith("no space left on the disk")
    assert "run the same command again" in line
    assert not (small_disk / "out" / "manifest.csv").exists()
