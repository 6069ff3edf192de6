"""The processor: tokens as the chat template gives them, patches in the model's order, one line for what is missing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForImageTextToText, AutoTokenizer

from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.vlm.batch import chain, pack
from drivelet.vlm.load import Loaded, load, resolve
from drivelet.vlm.processor import IMAGE_TOKEN, allowed_size, load_processor
from tiny_vlm import LAMP_TEXT, noise

MEAN = np.array([0.48145466, 0.4578275, 0.40821073], dtype=np.float32)
STD = np.array([0.26862954, 0.26130258, 0.27577711], dtype=np.float32)


def patchify(image: ImageArray) -> np.ndarray:
    """Cut an image with sides of a multiple of 28 as Qwen2-VL does: 2x2 groups of 14x14 patches, each frame twice."""
    rows, columns = image.shape[0] // 14, image.shape[1] // 14
    scaled = (image.astype(np.float32) / 255 - MEAN) / STD
    cut = scaled.reshape(rows // 2, 2, 14, columns // 2, 2, 14, 3).transpose(0, 3, 1, 4, 6, 2, 5)
    return np.repeat(cut.reshape(rows * columns, 3, 1, 14, 14), 2, axis=2).reshape(rows * columns, -1)


@pytest.mark.parametrize("size", [(56, 56), (84, 140), (168, 56)])
def test_patches_lie_in_the_models_order(tiny: Loaded, size: tuple[int, int]) -> None:
    image = noise(0, height=size[0], width=size[1])
    values, grid = tiny.processor.pixels(image)
    assert grid.tolist() == [[1, size[0] // 14, size[1] // 14]]
    np.testing.assert_allclose(values.numpy(), patchify(image), atol=1e-5)
    assert tiny.processor.num_image_tokens(grid[0]) == size[0] * size[1] // 28**2


def test_an_image_of_any_size_gets_sides_of_a_multiple_of_28(tiny: Loaded) -> None:
    values, grid = tiny.processor.pixels(noise(0, height=61, width=123))
    assert grid[0, 1] % 2 == 0 and grid[0, 2] % 2 == 0 and len(values) == int(grid.prod())


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (1, 700), (10, 2010), (2010, 10), (3, 60), (1, 3)])
def test_tiny_and_thin_images_are_taken_as_they_are_counted(tiny: Loaded, size: tuple[int, int]) -> None:
    image = noise(0, height=size[0], width=size[1])
    values, grid = tiny.processor.pixels(image)
    assert len(values) == int(grid.prod())
    assert tiny.processor.num_image_tokens(grid[0]) == tiny.processor.num_tokens_of_size(*size)
    long_side = int(np.argmax(size))
    assert size[0] == size[1] or int(grid[0, 1 + long_side]) >= int(grid[0, 2 - long_side])


def test_an_image_of_one_colour_keeps_it_however_thin(tiny: Loaded) -> None:
    wide = np.full((4, 2000, 3), (255, 0, 0), np.uint8)
    assert torch.equal(
        *(tiny.processor.pixels(image)[0][:1] for image in (wide, np.full((28, 28, 3), (255, 0, 0), np.uint8)))
    )


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_only_images_that_are_too_thin_are_padded(height: int, width: int) -> None:
    padded = allowed_size(height, width)
    assert max(padded) / min(padded) < 200 and max(padded) == max(height, width)
    if max(height, width) <= 190 * min(height, width):
        assert padded == (height, width)


def test_a_packed_question_is_the_rendered_conversation(tiny: Loaded) -> None:
    processor = tiny.processor
    packed = pack(tiny, noise(0), [chain([*processor.tokens(LAMP_TEXT), *processor.suffix_ids])])
    content = [{"type": "image"}, {"type": "text", "text": LAMP_TEXT}]
    text = processor.tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    expected = processor.tokenizer(text.replace(IMAGE_TOKEN, IMAGE_TOKEN * 4), add_special_tokens=False)["input_ids"]
    assert packed.input_ids_BL[0].tolist() == expected


def test_a_template_with_a_system_message_keeps_it_in_the_prefix(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "m")
    template = tmp_path / "m" / "chat_template.jinja"
    template.write_text("<|im_start|>system\nred<|im_end|>\n" + template.read_text())
    plain, changed = load_processor(tiny_folder), load_processor(tmp_path / "m")
    added = changed.prefix_ids[: len(changed.prefix_ids) - len(plain.prefix_ids)]
    assert changed.prefix_ids[len(added) :] == plain.prefix_ids and changed.suffix_ids == plain.suffix_ids
    assert plain.tokenizer.decode(added) == "<|im_start|>system\nred<|im_end|>\n"


def test_the_end_token_ends_the_answer_in_the_template(tiny: Loaded) -> None:
    assert tiny.processor.tokenizer.decode([tiny.processor.end_id]) == "<|im_end|>"
    assert tiny.processor.tokenizer.decode([tiny.processor.image_token_id]) == IMAGE_TOKEN
    assert tiny.processor.image_token_id == tiny.model.config.image_token_id


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (("tokenizer.json",), "tokenizer"),
        (("preprocessor_config.json",), "image processor"),
        (("chat_template.jinja", "tokenizer_config.json"), "chat template"),
    ],
)
def test_a_missing_file_is_one_line(tiny_folder: Path, tmp_path: Path, files: tuple[str, ...], named: str) -> None:
    shutil.copytree(tiny_folder, tmp_path / "m")
    for name in files:
        (tmp_path / "m" / name).unlink()
    with pytest.raises(InputError, match=named) as caught:
        load_processor(tmp_path / "m")
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_tokenizer_without_a_chat_template_is_one_line(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "m")
    (tmp_path / "m" / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="chat template") as caught:
        load_processor(tmp_path / "m")
    assert "\n" not in str(caught.value)


def test_a_template_that_puts_text_first_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_folder, tmp_path / "m")
    (tmp_path / "m" / "chat_template.jinja").write_text(
        "{{ messages[0]['content'][1]['text'] }}<|vision_start|><|image_pad|><|vision_end|>"
    )
    with pytest.raises(InputError, match="image before the text"):
        load_processor(tmp_path / "m")


def test_the_folder_loads_through_the_auto_classes(tiny: Loaded) -> None:
    model = AutoModelForImageTextToText.from_pretrained(tiny.path)
    assert model.config.model_type == "qwen2_5_vl"
    assert len(AutoTokenizer.from_pretrained(tiny.path)) <= model.config.text_config.vocab_size
    weights = tiny.model.state_dict()
    assert all(torch.equal(value, weights[name].to(value.dtype)) for name, value in model.state_dict().items())


def test_equal_arguments_give_equal_weights(tiny_folder: Path, tmp_path: Path) -> None:
    from tiny_vlm import save_tiny

    again, other = save_tiny(tmp_path / "again"), save_tiny(tmp_path / "other", seed=1)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (again / name).read_bytes() == (tiny_folder / name).read_bytes(), name
    assert (other / "model.safetensors").read_bytes() != (tiny_folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda m: (m / "config.json").unlink(), "config.json"),
        (lambda m: (m / "model.safetensors").unlink(), "safetensors"),
        (lambda m: (m / "config.json").write_text(json.dumps({"model_type": "bert"})), "a bert model"),
        (lambda m: (m / "config.json").write_text(json.dumps({"model_type": "nothing"})), "no vision-language model"),
    ],
)
def test_a_folder_that_is_no_model_is_one_line(tiny_folder: Path, tmp_path: Path, spoil, said: str) -> None:
    shutil.copytree(tiny_folder, tmp_path / "m")
    spoil(tmp_path / "m")
    with pytest.raises(InputError, match=said) as caught:
        load(tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere", "./no/where", "/no/where", "a/b/c"])
def test_a_path_to_nowhere_is_one_line(name: str) -> None:
    with pytest.raises(InputError, match="no such model folder"):
        resolve(name)
