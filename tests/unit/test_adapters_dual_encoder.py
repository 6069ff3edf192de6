import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import CLIPModel

from drivelet.adapters.dual_encoder import DualEncoder
from drivelet.core.errors import InputError
from tiny_clip import WORDS, save_clip
from tiny_vlm import noise, solid


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("clip") / "tiny-clip")


def test_pictures_and_text_get_unit_vectors_of_one_space(folder):
    encoder = DualEncoder(folder)
    assert encoder.name.startswith("tiny-clip-")
    images = encoder.embed_images([solid((200, 0, 0)), noise(1, height=40, width=90)])
    texts = encoder.embed_texts([WORDS[0], " ".join(WORDS * 20)])
    assert images.shape == texts.shape == (2, 16)
    assert images.dtype == np.float32
    assert np.allclose(np.linalg.norm(np.vstack([images, texts]), axis=1), 1, atol=1e-5)
    assert not np.allclose(images[0], images[1], atol=1e-3)


def test_a_picture_is_embedded_as_the_model_itself_does(folder):
    image = noise(3, height=64, width=48)
    processor = transformers.CLIPImageProcessorPil.from_pretrained(folder)
    model = CLIPModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        pooled = model.vision_model(**processor(images=[image], return_tensors="pt")).pooler_output
        expected = torch.nn.functional.normalize(model.visual_projection(pooled), dim=1).numpy()
    alone = DualEncoder(folder).embed_images([image])
    assert np.allclose(alone, expected, atol=1e-5)
    assert np.allclose(DualEncoder(folder).embed_images([solid((1, 2, 3)), image])[1], alone[0], atol=1e-5)


def test_a_name_tells_weights_apart(folder, tmp_path):
    other = save_clip(tmp_path / "tiny-clip", seed=1)
    assert DualEncoder(other).name != DualEncoder(folder).name == DualEncoder(folder).name


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("preprocessor_config.json", "has no preprocessor_config.json; save the image processor there"),
        ("model.safetensors", "no .safetensors weights"),
        ("tokenizer.json", "has no tokenizer.json; save the tokenizer there"),
    ],
)
def test_what_a_folder_lacks_is_named(folder, tmp_path, missing, message):
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns(missing))
    with pytest.raises(InputError, match=message):
        DualEncoder(copy)


def test_an_image_processor_that_nothing_here_reads_is_named(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "NoSuchImageProcessor"}))
    with pytest.raises(InputError, match="NoSuchImageProcessor needs torchvision"):
        DualEncoder(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t, name: t.pop(name), "lack "),
        (lambda t, name: t.update(stray=torch.ones(3)), "hold unknown stray"),
        (lambda t, name: t.update({name: torch.ones(3, 5)}), "wrong shapes in"),
        (lambda t, name: t[name].view(-1)[0].fill_(torch.nan), "NaN or infinite values in"),
    ],
)
def test_wrong_weights_are_named(folder, tmp_path, change, said):
    copy = shutil.copytree(folder, tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    change(tensors, "visual_projection.weight")
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=said) as caught:
        DualEncoder(copy)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"])
@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"model_type": 3}'])
def test_a_damaged_folder_is_one_line(folder, tmp_path, file, content):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / file).write_text(content)
    with pytest.raises(InputError) as caught:
        DualEncoder(copy)
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)
