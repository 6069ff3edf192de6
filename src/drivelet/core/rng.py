"""Seeds that are passed in, never drawn: one generator for each (recipe seed, stage, item)."""

import hashlib

import numpy as np


def derive_seed(seed: int, *parts: str | int) -> int:
    """Return a 63-bit seed that depends on the recipe seed and the named parts alone."""
    text = "\x1f".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *parts: str | int) -> np.random.Generator:
    """Return a NumPy generator for `(seed, *parts)`; equal arguments give equal streams."""
    return np.random.default_rng(derive_seed(seed, *parts))
