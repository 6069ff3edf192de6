"""How far each group's range may be clipped: a finer step for the many against an error for the few."""

import torch

from drivelet.quantise.rounding import Rounding, fake_quantise

STEPS = 10
STEP = 0.05
CHUNK_VALUES = 1 << 20


def search_clip(weight_ON: torch.Tensor, gram_GKK: torch.Tensor, rounding: Rounding) -> torch.Tensor:
    """Return for each row and group the fraction of its range to keep, in {1, 0.95, ..., 0.55}, shape (O, G).

    A group's output error summed over all calibration tokens is d^T (X^T X) d for the rounding error d: exact, though
    no token is kept.
    """
    chunks = weight_ON.split(max(1, CHUNK_VALUES // weight_ON.shape[1]))
    return torch.cat([_search_clip_rows(chunk, gram_GKK, rounding) for chunk in chunks])


def _search_clip_rows(weight_ON: torch.Tensor, gram_GKK: torch.Tensor, rounding: Rounding) -> torch.Tensor:
    target_ON = weight_ON.float()
    shape = (len(weight_ON), len(gram_GKK))
    best_OG = torch.full(shape, torch.inf, device=weight_ON.device)
    kept_OG = torch.ones(shape, device=weight_ON.device)
    for step in range(STEPS):
        shrink_OG = torch.full(shape, 1 - step * STEP, device=weight_ON.device)
        rounded_ON = fake_quantise(target_ON, rounding, shrink_OG=shrink_OG, scale_dtype=weight_ON.dtype)
        delta_GOK = (rounded_ON - target_ON).unflatten(1, (-1, rounding.group_size)).transpose(0, 1)
        error_OG = ((delta_GOK @ gram_GKK) * delta_GOK).sum(-1).T
        better_OG = error_OG < best_OG
        best_OG = torch.where(better_OG, error_OG, best_OG)
        kept_OG = torch.where(better_OG, shrink_OG, kept_OG)
    return kept_OG
