import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from drivelet.adapters import painter_lora
from drivelet.adapters.diffusers import DiffusersPainter, load_pipeline
from drivelet.adapters.painter_lora import LoraConfig, train_lora
from drivelet.core.errors import InputError
from painter_toys import toy_pipeline

IMAGES = list(np.random.default_rng(0).integers(0, 255, (6, 32, 32, 3), dtype=np.uint8))
CAPTIONS = ["red traffic light", "no cones"] * 3
LORA = LoraConfig(rank=2, steps=4, batch_size=2, learning_rate=1e-2)
WEIGHTS = "pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_pipeline(tmp_path_factory.mktemp("toy") / "pipeline")


def test_equal_seeds_give_equal_images_and_others_differ(pipeline: Path) -> None:
    painter = DiffusersPainter(pipeline, steps=2)
    first = painter.images(["red traffic light", "no cones"], seeds=[3, 4])
    again = painter.images(["red traffic light", "no cones"], seeds=[3, 4])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == (32, 32, 3) and first[0].dtype == np.uint8
    assert not np.array_equal(first[0], painter.images(["red traffic light"], seeds=[5])[0])


def test_a_lora_changes_what_is_painted(pipeline: Path, tmp_path: Path) -> None:
    lora = train_lora(pipeline, images=IMAGES, captions=CAPTIONS, config=LORA, out=tmp_path / "lora")
    plain = DiffusersPainter(pipeline, steps=2).images(["no cones"], seeds=[1])[0]
    tuned = DiffusersPainter(pipeline, lora=lora, steps=2).images(["no cones"], seeds=[1])[0]
    assert not np.array_equal(plain, tuned)
    assert [path.name for path in lora.iterdir()] == [WEIGHTS]


def test_a_killed_training_ends_with_the_same_weights(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often = LoraConfig(rank=2, steps=4, batch_size=2, learning_rate=1e-2, checkpoint_seconds=0.0)
    whole = train_lora(pipeline, images=IMAGES, captions=CAPTIONS, config=often, out=tmp_path / "whole")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(painter_lora, "_write_lora", die)
    half = LoraConfig(rank=2, steps=2, batch_size=2, learning_rate=1e-2, checkpoint_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        train_lora(pipeline, images=IMAGES, captions=CAPTIONS, config=half, out=tmp_path / "killed")
    monkeypatch.undo()
    resumed = train_lora(pipeline, images=IMAGES, captions=CAPTIONS, config=often, out=tmp_path / "killed")
    expected, found = load_file(whole / WEIGHTS), load_file(resumed / WEIGHTS)
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_a_lora_goes_on_from_another(pipeline: Path, tmp_path: Path) -> None:
    first = train_lora(pipeline, images=IMAGES, captions=CAPTIONS, config=LORA, out=tmp_path / "first")
    still = LoraConfig(rank=2, steps=1, batch_size=2, learning_rate=1e-30)
    second = train_lora(pipeline, images=IMAGES, captions=CAPTIONS, config=still, out=tmp_path / "b", start=first)
    expected, found = load_file(first / WEIGHTS), load_file(second / WEIGHTS)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


def test_a_folder_without_a_pipeline_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model_index\.json"):
        load_pipeline(tmp_path)
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(InputError, match="cannot be loaded"):
        load_pipeline(tmp_path)


NETWORKS = ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t, name: t.pop(name), "lack "),
        (lambda t, name: t.update(stray=np.ones(3, np.float32)), "hold unknown stray"),
        (lambda t, name: t.update({name: np.full_like(t[name], np.nan)}), "NaN or infinite values in"),
        (lambda t, name: t.update({name: np.ones((3, 5), np.float32)}), "cannot be loaded|wrong shapes in"),
    ],
)
def test_what_is_wrong_with_a_network_is_named(
    pipeline: Path, tmp_path: Path, network: str, change: Callable[..., object], said: str
) -> None:
    copy = shutil.copytree(pipeline, tmp_path / "copy")
    tensors = load_file(copy / f"{network}.safetensors")
    change(tensors, max(tensors, key=lambda name: tensors[name].size))
    save_file(tensors, copy / f"{network}.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=said) as caught:
        load_pipeline(copy)
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model_index.json", "{"),
        ("model_index.json", "[]"),
        ("model_index.json", '{"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "AutoencoderKL"]}'),
        ("model_index.json", '{"_class_name": "Nothing"}'),
        ("unet/config.json", "{"),
        ("unet/config.json", '{"cross_attention_dim": "wide"}'),
        ("unet/diffusion_pytorch_model.safetensors", "version https://git-lfs"),
        ("tokenizer/tokenizer.json", "{}"),
        ("scheduler/scheduler_config.json", "[1]"),
    ],
)
def test_a_damaged_pipeline_is_one_line(pipeline: Path, tmp_path: Path, file: str, content: str) -> None:
    copy = shutil.copytree(pipeline, tmp_path / "copy")
    (copy / file).write_text(content)
    with pytest.raises(InputError) as caught:
        load_pipeline(copy)
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "said"),
    [(4, r"painter: the (loss|gradient) of step 2 is nan"), (1, "after training: NaN or infinite values in")],
)
def test_a_training_that_breaks_saves_nothing(pipeline: Path, tmp_path: Path, steps: int, said: str) -> None:
    config = replace(LORA, steps=steps)
    object.__setattr__(config, "learning_rate", float("inf"))
    with pytest.raises(InputError, match=said):
        train_lora(pipeline, images=IMAGES, captions=CAPTIONS, config=config, out=tmp_path / "lora")
    assert not (tmp_path / "lora" / WEIGHTS).exists()


def test_painters_and_loras_are_read_by_whom_the_umask_lets(pipeline: Path, tmp_path: Path) -> None:
    lora = train_lora(pipeline, images=IMAGES, captions=CAPTIONS, config=LORA, out=tmp_path / "lora")
    umask = os.umask(0)
    os.umask(umask)
    files = [*pipeline.rglob("*.safetensors"), lora / WEIGHTS]
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o666 & ~umask}
