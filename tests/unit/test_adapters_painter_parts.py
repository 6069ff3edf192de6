import pytest
import torch

from drivelet.adapters.diffusers import quiet

with quiet():
    from drivelet.adapters.painter_parts import FOLD, LATENT, SCALING, fold, fold_autoencoder, word_tokenizer


@pytest.mark.parametrize("size", [32, 64])
def test_autoencoder_folds_and_unfolds_without_loss(size: int) -> None:
    vae = fold_autoencoder()
    shown = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    raw = vae.encode(shown).latents
    assert raw.shape == (2, LATENT, size // FOLD, size // FOLD)
    assert (vae.decode(raw).sample - shown).abs().max() < 2e-3  # half a grey level is 4e-3
    assert torch.allclose(fold(shown), raw * SCALING, atol=1e-5)


def test_autoencoder_survives_16_bit_storage() -> None:
    vae = fold_autoencoder()
    assert all(torch.equal(p, p.half().float()) for p in vae.parameters())


def test_every_word_of_the_texts_is_one_token() -> None:
    words = "close day street, red yellow traffic light, no cones several"
    tokenizer = word_tokenizer([words], max_length=16)
    ids = tokenizer("red traffic light, several cones").input_ids
    assert len(ids) == 8  # start, five words, comma, end
    assert tokenizer.decode(ids[1:-1]) == "red traffic light , several cones"
