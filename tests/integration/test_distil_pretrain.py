"""Pretraining a tiny model on drawn frames: two steps, resume, and what is saved."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import driving_scenes as drawn
from drivelet import tasks
from drivelet.core.progress import say
from drivelet.distil import pretrain as room
from drivelet.distil.pretrain import SIGN_WEIGHT, DenseHeads, Frames, PretrainConfig, pretrain, read_frames
from drivelet.distil.views import CELL_HEADS, FRAME_HEADS, View
from drivelet.vlm.checkpoint import save_checkpoint
from drivelet.vlm.load import load

CONFIG = PretrainConfig(
    steps=4, vision_steps=1, batch_size=2, questions=2, warmup=1, checkpoint_every=2, zoom_share=0.5
)
SCENES = (
    [*drawn.light((140, 40, 152, 70), "red"), drawn.sign((220, 60, 240, 84), 50)],
    [*drawn.light((140, 40, 152, 70), "green"), drawn.cone((100, 120, 112, 140), offset=0.0)],
    [drawn.cone((60, 120, 72, 140)), drawn.cone((90, 120, 102, 140)), drawn.sign((200, 50, 224, 80), 30)],
    [],
)


def frames() -> Frames:
    return Frames(
        images=[drawn.picture(objects) for objects in SCENES],
        scenes=[drawn.scene(objects) for objects in SCENES],
        gold=[drawn.gold(objects) for objects in SCENES],
    )


def run(config: PretrainConfig, model: Path, work: Path) -> Path:
    return pretrain(
        config,
        model=model,
        frames=frames,
        fields=tasks.fields(),
        out=work / "model",
        checkpoint=work / "checkpoint.safetensors",
    )


def test_a_resumed_run_is_the_undisturbed_one_bit_for_bit(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_file(run(CONFIG, tiny_folder, tmp_path / "whole") / "model.safetensors")

    def save_and_stop(path: Path, **state: Any) -> None:
        save_checkpoint(path, **state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(room, "save_checkpoint", save_and_stop)
        run(CONFIG, tiny_folder, tmp_path / "out")
    torch.manual_seed(99)
    resumed = load_file(run(CONFIG, tiny_folder, tmp_path / "out") / "model.safetensors")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items()) and whole.keys() == resumed.keys()
    kept = load_file(tmp_path / "out" / "checkpoint.safetensors")
    expected = load_file(tmp_path / "whole" / "checkpoint.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in expected.items())


def test_two_steps_change_every_part_and_save_a_model_without_heads(tiny_folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(room, "say", lambda text: (said.append(text), say(text)))
        out = run(replace(CONFIG, steps=2), tiny_folder, tmp_path)
    loaded, before = load(out, dtype=torch.bfloat16), load(tiny_folder, dtype=torch.bfloat16).model.state_dict()
    after = loaded.model.state_dict()
    for part in ("visual.blocks.0.attn", "visual.merger", "language_model.layers.1.mlp", "embed_tokens"):
        names = [name for name in after if part in name and name.endswith("weight")]
        assert names and any(not torch.equal(after[name], before[name]) for name in names), part
    saved = load_file(out / "model.safetensors")
    assert {value.dtype for value in saved.values()} == {torch.bfloat16} and not any("dense" in n for n in saved)
    assert saved.keys() == load_file(tiny_folder / "model.safetensors").keys()
    assert any(name.startswith("p.dense.") for name in load_file(tmp_path / "checkpoint.safetensors"))
    assert len(said) == 1 and said[0].startswith("step 2/2")


def test_both_losses_fall_on_four_frames(tiny_folder: Path, tmp_path: Path) -> None:
    losses: list[tuple[float, float]] = []
    measured = room._losses

    def watched(*args: Any) -> tuple[torch.Tensor, torch.Tensor]:
        answer, dense = measured(*args)
        losses.append((float(answer.detach()), float(dense.detach())))
        return answer, dense

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(room, "_losses", watched)
        short = replace(CONFIG, steps=16, questions=1, checkpoint_every=16, learning_rate=4e-3)
        config = replace(short, vision_steps=0, vision_share=0.0, zoom_share=0.0, sign_styles=())
        run(config, tiny_folder, tmp_path)
    for first, last in zip(losses[0], losses[-1], strict=True):
        assert last < 0.8 * first


def test_the_batch_names_the_position_before_each_answer_token(tiny: Any) -> None:
    rng, pool = np.random.default_rng(3), frames()
    drawn_views = room._views(CONFIG, rng, pool, grid=(6, 6), size=4)
    packed, targets = room._pack(CONFIG, rng, tiny, pool, tasks.fields(), drawn_views)
    assert packed.input_ids_BL.shape[1] % 32 == 0 and len(drawn_views) == len(packed.input_ids_BL)
    for row, position, token in targets:
        assert int(packed.branch_BL[row, position]) >= 0
        if token != tiny.processor.end_id:
            assert int(packed.input_ids_BL[row, position + 1]) == token
    spelled = {row: [t for r, _, t in targets if r == row] for row in range(len(drawn_views))}
    for row, (_, view) in enumerate(drawn_views):
        text = tiny.processor.tokenizer.decode(spelled[row])
        answers = [part for part in text.split("<|im_end|>") if part]
        assert len(answers) == min(2, len(view.answers)) and set(answers) <= set(view.answers.values())


def test_the_first_phase_trains_the_vision_tower_alone(tiny_folder: Path, tmp_path: Path) -> None:
    out = run(replace(CONFIG, steps=2, vision_steps=2), tiny_folder, tmp_path)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_folder, out))
    language = [name for name in after if "visual" not in name]
    assert language and all(torch.equal(after[name], before[name].bfloat16()) for name in language)
    assert any(not torch.equal(after[name], before[name].bfloat16()) for name in after if "visual" in name)


def flat_view(lamp: np.ndarray, *, frame: int) -> View:
    cells = {**{name: np.zeros((4, 4), dtype=np.int64) for name in CELL_HEADS}, "lamp": lamp}
    return View(image=drawn.picture([]), answers={}, cells=cells, frame=dict.fromkeys(FRAME_HEADS, frame))


def test_a_field_that_a_view_cannot_answer_weighs_nothing() -> None:
    heads, tokens_BCD = DenseHeads(8, tasks.fields()), torch.randn(1, 16, 8)
    view = flat_view(np.zeros((4, 4), dtype=np.int64), frame=0)
    for answers in ({}, {"traffic_light.state": "red"}):
        loss = heads.loss(tokens_BCD, [replace(view, answers=answers)])
        (gradient,) = torch.autograd.grad(loss, heads.fields[0].weight, allow_unused=True)
        assert (gradient is None) == (not answers)


def test_an_empty_cell_weighs_fifteen_hundredths() -> None:
    torch.manual_seed(0)
    heads, tokens_BCD = DenseHeads(8, tasks.fields()), torch.randn(1, 16, 8)
    lamp = np.zeros((4, 4), dtype=np.int64)
    lamp[1, 2], lamp[3, 0] = 1, 3
    target_C, terms = torch.from_numpy(lamp.ravel()), []
    for name, layer in heads.cells.items():
        picked_C = target_C if name == "lamp" else torch.zeros_like(target_C)
        surprise_C = -layer(tokens_BCD[0]).log_softmax(-1)[range(16), picked_C]
        weight_C = torch.where(picked_C == 0, 0.15, 1.0)
        terms.append((surprise_C * weight_C).sum() / weight_C.sum() * (SIGN_WEIGHT if name == "sign" else 1))
    mean_D = tokens_BCD[0].mean(0)
    terms += [-0.5 * layer(mean_D).log_softmax(-1)[1] for layer in heads.frame.values()]
    torch.testing.assert_close(heads.loss(tokens_BCD, [flat_view(lamp, frame=1)]), torch.stack(terms).sum())


def test_frames_are_read_from_render_folders(tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / f"r{number}"
        (folder / "frames").mkdir(parents=True)
        records = []
        for index, objects in enumerate(SCENES[2 * number : 2 * number + 2]):
            Image.fromarray(drawn.picture(objects)).save(folder / "frames" / f"{index:06d}.png")
            records.append(json.dumps(drawn.scene(objects)))
        (folder / "scenes.jsonl").write_text("\n".join(records) + "\n")
    found = read_frames([tmp_path / "r0", tmp_path / "r1"], gold=lambda record: drawn.gold(record["objects"]))
    assert [list(g.items()) for g in found.gold] == [list(g.items()) for g in frames().gold]
    assert all((a == b).all() for a, b in zip(found.images, frames().images, strict=True))
