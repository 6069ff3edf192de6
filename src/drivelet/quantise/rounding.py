"""Group-wise rounding of a weight matrix to small integers, in the arithmetic that compressed-tensors decodes."""

from dataclasses import dataclass

import torch

from drivelet.core.errors import InputError

BITS = (3, 4, 8)
GROUP_SIZES = (32, 64, 128)


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """How a weight is rounded: `bits` a code, one scale for `group_size` inputs of an output row.

    Symmetric codes lie around 0 and need no zero point; asymmetric ones spend their whole range on [min, max].
    """

    bits: int
    group_size: int
    symmetric: bool = True

    def __post_init__(self) -> None:
        if self.bits not in BITS:
            raise InputError(f"bits {self.bits} is none of {', '.join(map(str, BITS))}")
        if self.group_size not in GROUP_SIZES:
            raise InputError(f"group size {self.group_size} is none of {', '.join(map(str, GROUP_SIZES))}")

    @property
    def lowest(self) -> int:
        """The smallest code."""
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        """The largest code."""
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True, kw_only=True)
class QuantisedWeight:
    """A rounded weight of O outputs, N inputs and G groups a row.

    Shapes: `codes_ON` int8, `scale_OG` in the model's dtype, `zero_OG` int8 or None where symmetric.
    """

    codes_ON: torch.Tensor
    scale_OG: torch.Tensor
    zero_OG: torch.Tensor | None
    rounding: Rounding

    def dequantise(self) -> torch.Tensor:
        """Return (codes - zero) * scale, shape (O, N), computed in the scale's dtype as compressed-tensors does."""
        codes_OGK = self.codes_ON.unflatten(1, (-1, self.rounding.group_size)).to(self.scale_OG.dtype)
        if self.zero_OG is not None:
            codes_OGK = codes_OGK - self.zero_OG.to(self.scale_OG.dtype)[..., None]
        return (codes_OGK * self.scale_OG[..., None]).flatten(1)


def check_divisible(name: str, num_inputs: int, group_size: int) -> None:
    """Raise InputError unless a module's inputs divide into whole groups."""
    if num_inputs % group_size:
        raise InputError(f"{name}: {num_inputs} inputs do not divide into groups of {group_size}; choose another size")


def quantise_weight(
    weight_ON: torch.Tensor,
    rounding: Rounding,
    *,
    shrink_OG: torch.Tensor | None = None,
    scale_dtype: torch.dtype | None = None,
) -> QuantisedWeight:
    """Round a weight to its nearest codes.

    Args:
        weight_ON: any float dtype; the arithmetic runs in float32.
        shrink_OG: fraction in (0, 1] of each group's range that the codes cover, all of it by default; values beyond
            are clipped.
        scale_dtype: dtype of the stored scales, by default the weight's; the codes are chosen for the stored scale.

    Raises:
        InputError: the inputs do not divide into groups.
    """
    check_divisible("weight", weight_ON.shape[1], rounding.group_size)
    weight_OGK = weight_ON.float().unflatten(1, (-1, rounding.group_size))
    scale_OG, zero_OG = _scale_and_zero(weight_OGK, rounding, shrink_OG, scale_dtype or weight_ON.dtype)
    codes_OGK = weight_OGK / scale_OG.float()[..., None]
    if zero_OG is not None:
        codes_OGK += zero_OG[..., None]
    codes_ON = codes_OGK.round_().clamp_(rounding.lowest, rounding.highest).to(torch.int8).flatten(1)
    return QuantisedWeight(codes_ON=codes_ON, scale_OG=scale_OG, zero_OG=zero_OG, rounding=rounding)


def _scale_and_zero(
    weight_OGK: torch.Tensor, rounding: Rounding, shrink_OG: torch.Tensor | None, dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor | None]:
    low_OG, high_OG = weight_OGK.amin(-1).clamp(max=0), weight_OGK.amax(-1).clamp(min=0)
    if rounding.symmetric:
        # Half the code range for the largest magnitude: both ends then lie within half a step of a code.
        high_OG = torch.maximum(-low_OG, high_OG)
        low_OG = -high_OG
    if shrink_OG is not None:
        low_OG, high_OG = low_OG * shrink_OG, high_OG * shrink_OG
    scale_OG = ((high_OG - low_OG) / (rounding.highest - rounding.lowest)).to(dtype)
    scale_OG = torch.where(scale_OG == 0, torch.ones_like(scale_OG), scale_OG)
    if rounding.symmetric:
        return scale_OG, None
    zero_OG = (rounding.lowest - low_OG / scale_OG.float()).round().clamp(rounding.lowest, rounding.highest)
    return scale_OG, zero_OG.to(torch.int8)


def fake_quantise(
    weight_ON: torch.Tensor, rounding: Rounding, *, shrink_OG: torch.Tensor | None = None, scale_dtype: torch.dtype
) -> torch.Tensor:
    """Return the rounded weight as float32, shape (O, N), with scales as they would be stored in `scale_dtype`."""
    rounded = quantise_weight(weight_ON, rounding, shrink_OG=shrink_OG, scale_dtype=scale_dtype)
    return rounded.dequantise().float()
