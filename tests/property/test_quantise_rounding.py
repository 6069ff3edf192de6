"""Rounding, packing and clipping hold for any weight."""

import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize
from compressed_tensors.quantization.lifecycle.forward import fake_quantize as reference_fake_quantize
from compressed_tensors.quantization.utils import calculate_qparams
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.core.errors import InputError
from drivelet.quantise.calibrate import systematic_sample
from drivelet.quantise.clip import search_clip
from drivelet.quantise.pack import packed_bytes, packed_tensors
from drivelet.quantise.rounding import BITS, GROUP_SIZES, Rounding, fake_quantise, quantise_weight

roundings = st.builds(
    Rounding, bits=st.sampled_from(BITS), group_size=st.sampled_from(GROUP_SIZES), symmetric=st.booleans()
)
seeds = st.integers(0, 2**31)
dtypes = st.sampled_from([torch.float32, torch.bfloat16])


def random_weight(seed: int, rows: int, columns: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = torch.randn(rows, 1, generator=generator).mul(3).exp()
    return (torch.randn(rows, columns, generator=generator) * spread).to(dtype)


@settings(max_examples=40, deadline=None)
@given(rounding=roundings, seed=seeds, groups=st.integers(1, 4), rows=st.integers(1, 9))
def test_error_is_at_most_half_a_step(rounding: Rounding, seed: int, groups: int, rows: int) -> None:
    weight_ON = random_weight(seed, rows, groups * rounding.group_size)
    rounded = quantise_weight(weight_ON, rounding)
    step_ON = rounded.scale_OG.repeat_interleave(rounding.group_size, 1)
    # The ends of the range lie exactly half a step beyond the outer codes: leave float32 its last digits.
    assert ((rounded.dequantise() - weight_ON).abs() <= (0.5 + 1e-4) * step_ON).all()
    assert rounded.codes_ON.min() >= rounding.lowest
    assert rounded.codes_ON.max() <= rounding.highest


@settings(max_examples=30, deadline=None)
@given(rounding=roundings, seed=seeds, dtype=dtypes, rows=st.integers(1, 40))
def test_packed_codes_decode_to_the_same_weight(rounding: Rounding, seed: int, dtype: torch.dtype, rows: int) -> None:
    rounded = quantise_weight(random_weight(seed, rows, 2 * rounding.group_size, dtype), rounding)
    stored = packed_tensors("m", rounded)
    codes_ON = unpack_from_int32(stored["m.weight_packed"], rounding.bits, rounded.codes_ON.shape)
    assert torch.equal(codes_ON, rounded.codes_ON)
    zero_OG = None
    if not rounding.symmetric:
        zero_OG = unpack_from_int32(stored["m.weight_zero_point"], rounding.bits, rounded.scale_OG.shape, packed_dim=0)
        assert rounded.zero_OG is not None
        assert torch.equal(zero_OG, rounded.zero_OG)
    arguments = QuantizationArgs(num_bits=rounding.bits, group_size=rounding.group_size, symmetric=rounding.symmetric)
    decoded_ON = dequantize(codes_ON, stored["m.weight_scale"], zero_OG, args=arguments)
    assert torch.equal(decoded_ON, rounded.dequantise())
    assert packed_bytes(rounded) >= rounded.codes_ON.numel() * rounding.bits // 8


@settings(max_examples=20, deadline=None)
@given(rounding=roundings, seed=seeds)
def test_agrees_with_compressed_tensors(rounding: Rounding, seed: int) -> None:
    weight_ON = random_weight(seed, 5, 2 * rounding.group_size)
    arguments = QuantizationArgs(num_bits=rounding.bits, group_size=rounding.group_size, symmetric=rounding.symmetric)
    weight_OGK = weight_ON.unflatten(1, (2, -1))
    scale_OG, zero_OG = calculate_qparams(weight_OGK.amin(-1), weight_OGK.amax(-1), arguments)
    wanted_ON = reference_fake_quantize(weight_ON, scale_OG, zero_OG, arguments)
    got_ON = quantise_weight(weight_ON, rounding).dequantise()
    step_ON = scale_OG.repeat_interleave(rounding.group_size, 1)
    # A value exactly between two codes may fall either way.
    assert ((got_ON - wanted_ON).abs() <= step_ON * 1.001).all()
    assert ((got_ON - wanted_ON).abs() <= step_ON * 1e-3).float().mean() > 0.99


@settings(max_examples=15, deadline=None)
@given(bits=st.sampled_from(BITS), seed=seeds, symmetric=st.booleans())
def test_groups_are_rounded_independently(bits: int, seed: int, symmetric: bool) -> None:
    weight_ON = random_weight(seed, 3, 128)
    for size in GROUP_SIZES:
        rounding = Rounding(bits=bits, group_size=size, symmetric=symmetric)
        whole_ON = quantise_weight(weight_ON, rounding).dequantise()
        parts = [quantise_weight(part, rounding).dequantise() for part in weight_ON.split(size, dim=1)]
        assert torch.equal(whole_ON, torch.cat(parts, 1))


@settings(max_examples=15, deadline=None)
@given(rounding=roundings, seed=seeds)
def test_clipping_never_raises_a_groups_error(rounding: Rounding, seed: int) -> None:
    size = rounding.group_size
    weight_ON = random_weight(seed, 6, 2 * size)
    inputs_TN = random_weight(seed + 1, 50, 2 * size)
    inputs_GTK = inputs_TN.unflatten(1, (2, -1)).transpose(0, 1)
    shrink_OG = search_clip(weight_ON, inputs_GTK.mT @ inputs_GTK, rounding)

    def errors(shrink: torch.Tensor | None) -> torch.Tensor:
        rounded_ON = fake_quantise(weight_ON, rounding, shrink_OG=shrink, scale_dtype=torch.float32)
        delta_GOK = (rounded_ON - weight_ON).unflatten(1, (2, -1)).transpose(0, 1)
        return (delta_GOK @ inputs_GTK.mT).square().sum(-1)

    plain_GO, clipped_GO = errors(None), errors(shrink_OG)
    assert (clipped_GO <= plain_GO * (1 + 1e-3) + 1e-6 * plain_GO.max()).all()
    assert shrink_OG.min() > 0.5


@settings(max_examples=40, deadline=None)
@given(seed=seeds, tokens=st.integers(1, 60), count=st.integers(1, 40))
def test_sample_keeps_the_whole_weight(seed: int, tokens: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight_N = torch.rand(tokens, generator=generator) * (torch.rand(tokens, generator=generator) > 0.3)
    weight_N[0] += 0.1
    index_T, weight_T = systematic_sample(weight_N, count)
    assert len(index_T) <= count
    assert len(index_T.unique()) == len(index_T)
    assert (weight_N[index_T] > 0).all()
    assert float(weight_T.sum()) == pytest.approx(float(weight_N.sum()), rel=1e-4)


def test_zero_weight_stays_zero() -> None:
    for symmetric in (True, False):
        rounding = Rounding(bits=4, group_size=32, symmetric=symmetric)
        assert not quantise_weight(torch.zeros(2, 64), rounding).dequantise().any()


@pytest.mark.parametrize("values", [{"bits": 5, "group_size": 64}, {"bits": 4, "group_size": 48}])
def test_unknown_rounding_is_refused(values: dict[str, int]) -> None:
    with pytest.raises(InputError, match="is none of"):
        Rounding(bits=values["bits"], group_size=values["group_size"])


def test_indivisible_inputs_are_refused() -> None:
    with pytest.raises(InputError, match="96 inputs do not divide into groups of 64"):
        quantise_weight(torch.zeros(2, 96), Rounding(bits=4, group_size=64))
