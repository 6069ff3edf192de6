"""Each pipeline class with tiny random weights: loaded from a folder, painted with, LoRA-trained, and painted again."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from safetensors.numpy import load_file

from drivelet.adapters import painter_lora
from drivelet.adapters.denoise import denoising_loss, noised, random_levels
from drivelet.adapters.diffusers import WEIGHTS, DiffusersPainter, load_pipeline, quiet, save_pipeline
from drivelet.adapters.painter_families import family
from drivelet.adapters.painter_lora import LoraConfig, train_lora
from drivelet.core.errors import InputError
from painter_pipelines import CLASSES, SIDE, saved, stable_diffusion

IMAGES = list(np.random.default_rng(0).integers(0, 255, (4, SIDE, SIDE, 3), dtype=np.uint8))
CAPTIONS = ["red traffic light", "no cones"] * 2
LORA = LoraConfig(rank=2, steps=2, batch_size=2, learning_rate=1e-2, drop_caption=0.5)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {name: saved(name, root) for name in CLASSES}


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_trains_only_its_lora_and_paints(
    folders: dict[str, Path], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []
    kept: dict[str, torch.Tensor] = {}
    pipelines = []

    def noted(*args: object, **kwargs: object) -> torch.Tensor:
        loss = denoising_loss(*args, **kwargs)  # pyright: ignore[reportArgumentType]
        losses.append(float(loss.detach()))
        return loss

    def watched(path: Path, **kwargs: object) -> object:
        pipeline = load_pipeline(path)
        pipelines.append(pipeline)
        denoiser = getattr(pipeline, family(pipeline).denoiser)
        kept.update({n: p.detach().clone() for n, p in denoiser.named_parameters()})
        return pipeline

    monkeypatch.setattr("drivelet.adapters.denoise.denoising_loss", noted)
    monkeypatch.setattr(painter_lora, "load_pipeline", watched)
    lora = train_lora(folders[name], images=IMAGES, captions=CAPTIONS, config=LORA, out=tmp_path / "lora")
    assert len(losses) == 2 and np.isfinite(losses).all()
    kind = family(pipelines[0])
    after = {n.replace(".base_layer", ""): p for n, p in getattr(pipelines[0], kind.denoiser).named_parameters()}
    assert all(torch.equal(after[n], before) for n, before in kept.items())
    fresh = {n: p for n, p in after.items() if n not in kept}
    assert fresh and all("lora_" in n and p.requires_grad and p.dtype == torch.float32 for n, p in fresh.items())
    assert any(bool(p.any()) for n, p in fresh.items() if "lora_B" in n)
    assert all(any(f".{end}.lora" in n for end in kind.targets) for n in load_file(lora / WEIGHTS))
    plain, tuned = (DiffusersPainter(folders[name], lora=given, steps=2, size=SIDE) for given in (None, lora))
    before, image = (p.images(["red traffic light"], seeds=[1])[0] for p in (plain, tuned))
    assert image.shape == (SIDE, SIDE, 3) and image.dtype == np.uint8
    assert not np.array_equal(before, image)


@pytest.mark.parametrize("name", CLASSES)
def test_training_calls_the_denoiser_as_painting_does(folders: dict[str, Path], name: str) -> None:
    """The first call of one sampling step, seen from outside, is what the family computes from its inputs."""
    pipeline = load_pipeline(folders[name])
    kind = family(pipeline)
    denoiser = getattr(pipeline, kind.denoiser)
    seen: dict[str, torch.Tensor] = {}

    def note(_: object, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor], result: object) -> None:
        found = dict(kwargs)
        found["noisy"] = args[0] if args else kwargs["hidden_states"]
        found["time"] = args[1] if len(args) > 1 else kwargs["timestep"]
        found["predicted"] = result[0]  # pyright: ignore[reportIndexIssue]
        for key, value in found.items():
            seen.setdefault(key, value)

    handle = denoiser.register_forward_hook(note, with_kwargs=True)
    with torch.inference_mode(), quiet():
        pipeline("no cones", height=SIDE, width=SIDE, num_inference_steps=1, guidance_scale=1.0, output_type="latent")
        handle.remove()
        noisy, predicted, time = seen["noisy"], seen["predicted"], seen["time"].reshape(-1)[:1].float()
        if name == "flux":
            noisy, predicted = (pipeline._unpack_latents(x, SIDE, SIDE, 2) for x in (noisy, predicted))
            time = time * 1000
        given = {key: value[None] for key, value in kind.encode(pipeline, "no cones").items()}
        own = kind.predict(pipeline, noisy, time, given, 1.0)
    assert torch.allclose(own, predicted, atol=1e-5)


def test_what_guidance_pushes_away_from_is_what_a_dropped_caption_trains(folders: dict[str, Path]) -> None:
    pipeline = load_pipeline(folders["sdxl"])
    assert pipeline.config.force_zeros_for_empty_prompt
    given = family(pipeline).encode(pipeline, "")
    assert not any(bool(value.any()) for value in given.values())
    assert all(bool(value.any()) for value in family(pipeline).encode(pipeline, "no cones").values())


def test_flow_matching_recovers_clean_latents_and_shifts_its_levels() -> None:
    clean, noise = (torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(i)) for i in range(2))
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    noisy, timesteps, target = noised(scheduler, clean, noise, torch.full((2,), 0.4))
    assert torch.allclose(noisy - 0.4 * target, clean, atol=1e-6) and timesteps.tolist() == pytest.approx([400, 400])
    levels = random_levels(scheduler, 2000, generator=torch.Generator().manual_seed(0))
    plain = random_levels(FlowMatchEulerDiscreteScheduler(shift=1.0), 2000, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(levels, 3 * plain / (1 + 2 * plain)) and levels.min() > 0 and levels.max() < 1


def test_bfloat16_weights_train_a_32_bit_lora(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("sd-epsilon", "flux"):
        lora = train_lora(
            folders[name], images=IMAGES, captions=CAPTIONS, config=LORA, out=tmp_path / name, precision="bfloat16"
        )
        assert {value.dtype for value in load_file(lora / WEIGHTS).values()} == {np.dtype("float32")}
        painter = DiffusersPainter(folders[name], lora=lora, steps=1, size=SIDE, precision="bfloat16")
        assert painter.images(["no cones"], seeds=[0])[0].shape == (SIDE, SIDE, 3)


def test_convolutions_of_a_unet_are_adapted_on_request(folders: dict[str, Path], tmp_path: Path) -> None:
    more = LoraConfig(rank=2, steps=1, batch_size=1, convolutions=True)
    lora = train_lora(folders["sd-epsilon"], images=IMAGES, captions=CAPTIONS, config=more, out=tmp_path / "lora")
    assert any(".conv1." in name for name in load_file(lora / WEIGHTS))


def test_the_safety_checkers_verdict_comes_with_the_picture(tmp_path: Path) -> None:
    with quiet():
        folder = save_pipeline(stable_diffusion(refuses=True), tmp_path / "refuses")
    (found,) = DiffusersPainter(folder, steps=1, size=SIDE).paint(["no cones"], seeds=[0])
    assert found.unsafe and not found.image.any()


def test_code_beside_the_weights_is_never_run(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = saved("sd-epsilon", tmp_path)
    index = json.loads((folder / "model_index.json").read_text())
    index["unet"] = ["own_unet", "OwnUnet"]
    (folder / "model_index.json").write_text(json.dumps(index))
    trap = tmp_path / "was_run"
    (folder / "unet" / "own_unet.py").write_text(f"open({str(trap)!r}, 'w').close()\nclass OwnUnet: ...\n")
    with pytest.raises(InputError, match="cannot be loaded"):
        load_pipeline(folder)
    assert not trap.exists()


def test_a_class_that_cannot_be_trained_is_one_clear_line() -> None:
    with pytest.raises(InputError, match="object: LoRA training knows no such pipeline class"):
        family(object())
