"""Find the language decoder's linear layers by structure, never the vision tower's of the same names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from drivelet.core.errors import InputError
from drivelet.quantise.rounding import check_divisible

GROUP_NAMES = ("qkv", "o", "gate_up", "down")
LINEARS = (
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.o_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "mlp.down_proj",
)
NORMS = ("input_layernorm", "post_attention_layernorm")
VISION_NAMES = frozenset({"visual", "vision_model", "vision_tower"})


@dataclass(frozen=True, kw_only=True)
class FusedGroup:
    """Linear layers of one decoder layer that share their input and one scale.

    Attributes:
        name: qkv, o, gate_up or down.
        layer: number of the decoder layer.
        path: full name of `parent`.
        parent: the module whose output judges the group; its input is the group's input.
        linears: the group's linear layers by full name.
        source: the norm or linear layer before, which takes the inverse scale; None where shapes forbid folding.
        clipped: full names of the linears whose range may be clipped (queries and keys may not: AWQ, section 4).
    """

    name: str
    layer: int
    path: str
    parent: nn.Module
    linears: Mapping[str, nn.Linear]
    source: nn.Module | None
    clipped: tuple[str, ...]


def find_groups(model: nn.Module) -> list[FusedGroup]:
    """Return the fused groups of every decoder layer, in the order of execution.

    Raises:
        InputError: the model has no such decoder, or adapters still lie around its linear layers.
    """
    layers = [(name, module) for name, module in model.named_modules() if _is_decoder_layer(name, module)]
    if not layers:
        raise InputError(f"{type(model).__name__}: no decoder layers with {', '.join(LINEARS)}; nothing to quantise")
    if len({name.rpartition(".")[0] for name, _ in layers}) > 1:
        raise InputError(f"{type(model).__name__}: several stacks of decoder layers; only one language model is known")
    return [group for number, (name, layer) in enumerate(layers) for group in _groups(number, name, layer)]


def check_sizes(groups: Sequence[FusedGroup], group_size: int) -> None:
    """Raise InputError naming the first linear layer whose inputs do not divide into groups."""
    for group in groups:
        for name, linear in group.linears.items():
            check_divisible(name, linear.in_features, group_size)


def _is_decoder_layer(name: str, module: nn.Module) -> bool:
    if VISION_NAMES & set(name.split(".")):
        return False
    return all(_has(module, part) for part in (*LINEARS, *NORMS))


def _has(module: nn.Module, path: str) -> bool:
    try:
        module.get_submodule(path)
    except AttributeError:
        return False
    return True


def _groups(number: int, name: str, layer: nn.Module) -> list[FusedGroup]:
    q, k, v, o, gate, up, down = (_linear(name, layer, part) for part in LINEARS)
    # Under grouped-query attention one value channel feeds several inputs of o_proj: no scale of its own fits.
    before_o = v[1] if v[1].out_features == o[1].in_features else None
    attention, feed_forward = f"{name}.self_attn", f"{name}.mlp"
    norm_1, norm_2 = (layer.get_submodule(part) for part in NORMS)
    rows = (
        ("qkv", attention, layer.get_submodule("self_attn"), (q, k, v), norm_1, (v[0],)),
        ("o", o[0], o[1], (o,), before_o, (o[0],)),
        ("gate_up", feed_forward, layer.get_submodule("mlp"), (gate, up), norm_2, (gate[0], up[0])),
        ("down", down[0], down[1], (down,), up[1], (down[0],)),
    )
    return [
        FusedGroup(
            name=group, layer=number, path=path, parent=parent, linears=dict(linears), source=source, clipped=clipped
        )
        for group, path, parent, linears, source, clipped in rows
    ]


def _linear(name: str, layer: nn.Module, part: str) -> tuple[str, nn.Linear]:
    module = layer.get_submodule(part)
    if not isinstance(module, nn.Linear):
        raise InputError(f"{name}.{part}: is a {type(module).__name__}, no plain linear layer; merge adapters first")
    return f"{name}.{part}", module
