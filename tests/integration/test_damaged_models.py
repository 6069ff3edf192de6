"""A wrong model folder ends in one line that names what is wrong, whatever command is given it."""

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli_calls import call, done, refused
from damaged_models import DAMAGES, edit, fill, weights
from drivelet.core.errors import InputError
from drivelet.vlm.load import load
from tiny_vlm import noise

Capture = pytest.CaptureFixture[str]
LATE = ("a tensor is missing", "a NaN weight", "another image token", "a tokenizer cut short", "a spread of nothing")
"""Some that show only once the model is loaded."""


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny model in the working folder, beside a picture and a manifest of it."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(noise(0)).save("a.png")
    rows = [f"a.png,cone.count,0,{split},g" for split in ("train",)]
    Path("train.csv").write_text("\n".join(["path,task,label,split,group", *rows]) + "\n")
    Path("val.csv").write_text(Path("train.csv").read_text().replace("train", "val"))
    return Path(shutil.copytree(tiny_folder, "model"))


@pytest.mark.parametrize("name", DAMAGES)
def test_predict_says_what_is_wrong(model: Path, name: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked a question"))
    damage, said = DAMAGES[name]
    damage(model)
    line = refused(capfd, "predict", "model", "a.png", "--out", "preds.jsonl")
    assert line.startswith("model") and said in line, line
    assert not Path("preds.jsonl").exists()


@pytest.mark.parametrize("name", [*list(DAMAGES)[::13], *LATE])
@pytest.mark.parametrize(
    "command",
    [
        "distil --teacher model --student {whole} --data train.csv --out out",
        "distil --teacher {whole} --student model --data train.csv --out out",
        "quantise model --data train.csv --out out",
    ],
)
def test_training_and_quantising_say_it_too(
    model: Path, tiny_folder: Path, name: str, command: str, capfd: Capture
) -> None:
    damage, said = DAMAGES[name]
    damage(model)
    line = refused(capfd, *command.format(whole=tiny_folder).split())
    assert line.startswith("model") and said in line, line
    assert not list(Path("out").glob("*/model.safetensors")) and not Path("out/model.safetensors").exists()


@pytest.mark.parametrize("name", ["a tensor is missing", "an index that names a missing shard", "a text model"])
def test_bench_says_it_too(model: Path, tiny_folder: Path, name: str, capfd: Capture) -> None:
    damage, said = DAMAGES[name]
    damage(model)
    line = refused(capfd, "bench", "model", "--data", "val.csv", "--out", "out")
    assert line.startswith("model") and said in line, line
    assert not Path("out/summary.json").exists()


def test_code_in_a_model_folder_is_never_run(model: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of a known kind that brings code all the same answers without it, and nobody is asked."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked a question"))
    (model / "code.py").write_text("open('ran', 'w')\n")
    edit("config.json", auto_map={"AutoConfig": "code.C", "AutoModelForImageTextToText": "code.M"})(model)
    edit("tokenizer_config.json", auto_map={"AutoTokenizer": ["code.T", "code.T"]})(model)
    edit("preprocessor_config.json", auto_map={"AutoImageProcessor": "code.P", "AutoProcessor": "code.P"})(model)
    outcome = call(capfd, "predict", "model", "a.png", "--out", "preds.jsonl")
    assert outcome.code in (0, 2) and "Traceback" not in outcome.err
    assert not Path("ran").exists()


def test_a_tied_head_that_is_stored_besides_is_no_fault(model: Path) -> None:
    weights(lambda t: t.update({"lm_head.weight": t["model.embed_tokens.weight"].clone()}))(model)
    load(model)


def test_every_wrong_tensor_is_counted(model: Path) -> None:
    weights(lambda t: [t.pop(name) for name in list(t) if "layers.1." in name])(model)
    weights(lambda t: t.update(stray=t["model.norm.weight"].clone()))(model)
    with pytest.raises(InputError, match=r"lack .* and 9 more and hold unknown stray; they are not those of"):
        load(model)


@pytest.mark.parametrize("tensor", ["model.embed_tokens.weight", "visual.patch_embed.proj.weight"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_wrong_value_anywhere_is_found(model: Path, tensor: str, value: float) -> None:
    fill(tensor, value)(model)
    with pytest.raises(InputError, match="NaN or infinite values in"):
        load(model)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_written_models_are_read_by_whom_the_umask_lets(model: Path, umask: int, capfd: Capture) -> None:
    before = os.umask(umask)
    try:
        small: list[Any] = [word for s in ("steps=1", "images_per_step=1", "warmup=1") for word in ("--set", s)]
        done(capfd, "distil", "--teacher", "model", "--student", "model", "--data", "train.csv", "--out", "d", *small)
        done(capfd, "quantise", "d/model", "--data", "train.csv", "--group-size", "32", "--out", "q")
    finally:
        os.umask(before)
    files = [file for folder in ("d/model", "q") for file in Path(folder).iterdir() if file.is_file()]
    assert {file.name for file in files} >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert {file.name: stat.S_IMODE(file.stat().st_mode) & umask for file in files} == {file.name: 0 for file in files}
    (mode,) = {stat.S_IMODE(file.stat().st_mode) for file in files if file.suffix == ".safetensors"}
    assert mode == 0o666 & ~umask


@pytest.mark.parametrize("command", ["quantise q --data train.csv --out z",
                                     "distil --teacher model --student q --data train.csv --out z"])  # fmt: skip
def test_a_quantised_model_is_not_trained_or_quantised_again(model: Path, command: str, capfd: Capture) -> None:
    done(capfd, "quantise", "model", "--data", "train.csv", "--group-size", "32", "--out", "q")
    assert "q: the model is quantised already" in refused(capfd, *command.split())
