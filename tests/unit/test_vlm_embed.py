import numpy as np
import torch

from drivelet.vlm.embed import VisionEmbedder
from tiny_vlm import noise, solid


def test_a_vector_is_the_mean_of_the_tokens_that_the_language_model_sees(tiny):
    image = noise(5, height=84, width=112)
    pixels, grid = tiny.processor.pixels(image)
    with torch.inference_mode():
        tokens = tiny.model.model.get_image_features(pixels, grid).pooler_output[0]
    assert tokens.shape[0] == tiny.processor.num_image_tokens(grid[0])
    expected = tokens.mean(dim=0).numpy()
    vector = VisionEmbedder(tiny).embed_images([image])[0]
    assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-5)


def test_pictures_of_different_sizes_are_embedded_side_by_side(tiny):
    embedder = VisionEmbedder(tiny)
    images = [noise(1), solid((200, 10, 10), height=112, width=84), noise(2)]
    together = embedder.embed_images(images)
    alone = np.vstack([embedder.embed_images([image]) for image in images])
    assert together.shape == (3, 64)
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert embedder.embed_texts is None


def test_a_name_tells_weights_apart(tiny, taught):
    names = {VisionEmbedder(tiny).name, VisionEmbedder(taught).name}
    assert len(names) == 2
    assert VisionEmbedder(tiny).name in names
