"""Packing: one forward with many branches equals one conversation per question."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from drivelet.vlm.batch import Packed, chain, collate, head, hidden_states, pack
from drivelet.vlm.load import Loaded
from drivelet.vlm.vision import accelerate_vision
from tiny_vlm import LAMP_TEXT, SIGN_TEXT, full_logits, noise

TEXTS = (LAMP_TEXT, SIGN_TEXT, "red green?", "none")


def branches(loaded: Loaded, texts: tuple[str, ...] = TEXTS) -> list[list]:
    return [chain([*loaded.processor.tokens(text), *loaded.processor.suffix_ids]) for text in texts]


def logits(loaded: Loaded, packed: Packed) -> torch.Tensor:
    with torch.inference_mode():
        return head(loaded.model)(hidden_states(loaded.model, packed))


@pytest.mark.parametrize("size", [(56, 56), (56, 112), (140, 84)])
def test_one_forward_equals_each_question_alone(tiny: Loaded, size: tuple[int, int]) -> None:
    image = noise(0, height=size[0], width=size[1])
    packed = pack(tiny, image, branches(tiny))
    packed_LV = logits(tiny, packed)[0]
    prefix = int((packed.branch_BL == -1).sum())
    for number, text in enumerate(TEXTS):
        alone_LV = full_logits(tiny, image, text)
        torch.testing.assert_close(packed_LV[packed.branch_BL[0] == number], alone_LV[prefix:], atol=1e-4, rtol=0)
        torch.testing.assert_close(packed_LV[:prefix], alone_LV[:prefix], atol=1e-4, rtol=0)


def test_a_branch_does_not_see_its_neighbours(tiny: Loaded) -> None:
    image = noise(1)
    both = logits(tiny, first := pack(tiny, image, branches(tiny, (LAMP_TEXT, SIGN_TEXT))))[0]
    other = logits(tiny, pack(tiny, image, branches(tiny, (LAMP_TEXT, "none none none"))))[0]
    torch.testing.assert_close(both[first.branch_BL[0] == 0], other[: len(both)][first.branch_BL[0] == 0])


@pytest.mark.parametrize("size", [(56, 56), (112, 56), (84, 140)])
def test_positions_are_the_models_own(tiny: Loaded, size: tuple[int, int]) -> None:
    packed = pack(tiny, noise(0, height=size[0], width=size[1]), branches(tiny, (LAMP_TEXT,)))
    ids = packed.input_ids_BL
    types = (ids == tiny.processor.image_token_id).int()
    expected, _ = tiny.model.model.get_rope_index(ids, mm_token_type_ids=types, image_grid_thw=packed.grid_thw)
    assert torch.equal(packed.positions_3BL, expected)


def test_every_branch_starts_at_the_same_position(tiny: Loaded) -> None:
    packed = pack(tiny, noise(0), branches(tiny))
    starts = [packed.positions_3BL[:, 0, packed.branch_BL[0] == n][:, 0].tolist() for n in range(len(TEXTS))]
    assert starts == [starts[0]] * len(TEXTS)


@pytest.mark.parametrize("multiple", [1, 32, 7])
def test_padding_changes_nothing(tiny: Loaded, multiple: int) -> None:
    items = [pack(tiny, noise(n), branches(tiny, TEXTS[: n + 1])) for n in range(3)]
    together = collate(items, multiple=multiple)
    length = max(item.input_ids_BL.shape[1] for item in items)
    assert together.input_ids_BL.shape[1] == -(-length // multiple) * multiple
    batch_BLV = logits(tiny, together)
    assert bool(batch_BLV.isfinite().all())
    for row, item in enumerate(items):
        size = item.input_ids_BL.shape[1]
        torch.testing.assert_close(batch_BLV[row, :size], logits(tiny, item)[0], atol=1e-4, rtol=0)
        assert together.branch_BL[row, size:].eq(-2).all()


def test_collating_one_item_changes_nothing(tiny: Loaded) -> None:
    item = pack(tiny, noise(0), branches(tiny))
    for name, value in vars(collate([item])).items():
        assert torch.equal(value, vars(item)[name]), name


def test_gradients_do_not_see_the_padding(tiny: Loaded) -> None:
    items = [pack(tiny, noise(n), branches(tiny, TEXTS[: n + 1])) for n in range(2)]
    weight, grads = tiny.model.model.language_model.layers[0].mlp.up_proj.weight, []
    for multiple in (1, 64):
        hidden = hidden_states(tiny.model, collate(items, multiple=multiple))
        grads += torch.autograd.grad(hidden[0, 3].sum() + hidden[1, 25].sum(), weight)
    torch.testing.assert_close(*grads, atol=1e-5, rtol=1e-4)


def test_a_question_without_branches_is_the_prefix(tiny: Loaded) -> None:
    packed = pack(tiny, noise(0), [])
    assert int(packed.branch_BL.max()) == -1 and tuple(packed.grid_thw.shape) == (1, 3)
    assert int((packed.input_ids_BL == tiny.processor.image_token_id).sum()) == 4


@pytest.mark.parametrize("full_blocks", [[0, 1], [1], []])
@pytest.mark.parametrize("sizes", [((112, 112),), ((140, 84),), ((84, 224), (140, 140))])
def test_the_faster_vision_tower_is_exact(
    tiny: Loaded, full_blocks: list[int], sizes: tuple[tuple[int, int], ...]
) -> None:
    config = AutoConfig.from_pretrained(tiny.path)
    config.vision_config.fullatt_block_indexes = full_blocks
    config.vision_config.window_size = 56
    torch.manual_seed(0)
    plain = AutoModelForImageTextToText.from_config(config, attn_implementation="sdpa").eval().model.visual
    with torch.no_grad():
        for weight in plain.parameters():
            weight.mul_(3)
    pixels = [tiny.processor.pixels(noise(n, height=h, width=w)) for n, (h, w) in enumerate(sizes)]
    values, grid = torch.cat([p for p, _ in pixels]), torch.cat([g for _, g in pixels])
    with torch.inference_mode():
        expected = plain(values, grid_thw=grid).pooler_output
        accelerate_vision(plain)
        assert "forward" in vars(plain.patch_embed) and "forward" in vars(plain.blocks[0].attn)
        fast = plain(values, grid_thw=grid).pooler_output
    torch.testing.assert_close(fast, expected, atol=1e-4, rtol=1e-4)


def test_gradients_agree_with_unmodified_transformers(tiny: Loaded) -> None:
    plain = AutoModelForImageTextToText.from_pretrained(tiny.path, dtype=torch.float32, attn_implementation="sdpa")
    items = [pack(tiny, noise(n, height=84, width=140), branches(tiny)[: n + 1]) for n in range(2)]
    packed = collate(items, multiple=32)
    found = []
    for model in (tiny.model, plain.eval()):
        hidden_BLD = hidden_states(model, packed)
        weights = [
            model.model.visual.blocks[0].attn.qkv.weight,
            model.model.language_model.layers[0].mlp.up_proj.weight,
        ]
        seen_BL = packed.branch_BL > -2
        found.append([hidden_BLD[seen_BL], *torch.autograd.grad(hidden_BLD[seen_BL].square().sum(), weights)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


def test_the_whole_model_agrees_with_unmodified_transformers(tiny: Loaded) -> None:
    plain = AutoModelForImageTextToText.from_pretrained(tiny.path, dtype=torch.float32).eval()
    packed = pack(tiny, noise(5, height=84, width=140), branches(tiny))
    with torch.inference_mode():
        expected = plain.model(**packed.model_inputs(), use_cache=False).last_hidden_state
    torch.testing.assert_close(hidden_states(tiny.model, packed).detach(), expected, atol=1e-4, rtol=0)
