"""Ways in which a model folder can be wrong, each made from a whole one, and a part of the line that says so."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Damage = Callable[[Path], object]
MATRIX = "model.layers.0.mlp.up_proj.weight"


def edit(name: str, **values: Any) -> Damage:
    """Change settings of a JSON file; a dotted name reaches into its parts, None takes a setting out."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        for key, value in values.items():
            *above, last = key.split("__")
            at = content
            for part in above:
                at = at[part]
            at.pop(last, None) if value is None else at.update({last: value})
        (folder / name).write_text(json.dumps(content))

    return spoil


def write(name: str, text: str | bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)


def cut(name: str, size: int) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def remove(*names: str) -> Damage:
    return lambda folder: [(folder / name).unlink() for name in names]


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    def spoil(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return spoil


def fill(name: str, value: float) -> Damage:
    """Put one wrong value into a tensor."""
    return weights(lambda tensors: tensors[name].view(-1)[-1:].fill_(value))


def shards(weight_map: Any) -> Damage:
    return write("model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": weight_map}))


def tokens(change: Callable[[dict[str, Any]], object]) -> Damage:
    def spoil(folder: Path) -> None:
        content = json.loads((folder / "tokenizer.json").read_text())
        change(content)
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return spoil


def _no_special(content: dict[str, Any]) -> None:
    content["added_tokens"] = [t for t in content["added_tokens"] if "pad" not in t["content"]]


def _all_alike(content: dict[str, Any]) -> None:
    content["model"]["vocab"] = dict.fromkeys(content["model"]["vocab"], 0)


def _beyond(content: dict[str, Any]) -> None:
    content["model"]["vocab"] = {word: number + 5000 for word, number in content["model"]["vocab"].items()}


def _grow(name: str, size: int) -> Damage:
    """Make a file with a hole: it takes no room on the disk."""
    return lambda folder: os.truncate(folder / name, size)


CONFIG, PIXELS, WORDS = "config.json", "preprocessor_config.json", "tokenizer_config.json"
NESTED = '{"a":' * 100_000
DAMAGES: dict[str, tuple[Damage, str]] = {
    # weights
    "a tensor is missing": (weights(lambda t: t.pop("model.norm.weight")), "lack model.language_model.norm.weight"),
    "a layer is missing": (
        weights(lambda t: [t.pop(name) for name in list(t) if "layers.1." in name]),
        "lack model.language_model.layers.1.input_layernorm.weight",
    ),
    "the vision tower is missing": (
        weights(lambda t: [t.pop(name) for name in list(t) if name.startswith("visual")]),
        "lack model.visual.blocks.0",
    ),
    "the embedding is missing": (weights(lambda t: t.pop("model.embed_tokens.weight")), "lack "),
    "a tensor is unknown": (weights(lambda t: t.update(stray=torch.ones(3))), "hold unknown stray"),
    "a tensor has a wrong shape": (
        weights(lambda t: t.update({MATRIX: torch.zeros(64, 64)})),
        "wrong shapes in model.language_model.layers.0.mlp.up_proj.weight (64x64, not 128x64)",
    ),
    "a tensor is renamed": (weights(lambda t: t.update(other=t.pop(MATRIX))), "hold unknown other"),
    "a NaN weight": (fill(MATRIX, float("nan")), "NaN or infinite values in model.language_model.layers.0.mlp.up_proj"),
    "an infinite weight": (fill("visual.merger.mlp.0.weight", float("inf")), "NaN or infinite values in model.visual"),
    "a NaN norm": (fill("model.norm.weight", float("nan")), "NaN or infinite values in model.language_model.norm"),
    "weights so large that they overflow": (
        weights(lambda t: [t[name].fill_(3e38) for name in t if "down_proj" in name]),
        "answers NaN or infinity",
    ),
    "no tensor at all": (weights(lambda t: t.clear()), "weights"),
    "weights cut short": (cut("model.safetensors", 3000), "model.safetensors: damaged weights"),
    "weights cut in their last bytes": (
        lambda folder: cut("model.safetensors", (folder / "model.safetensors").stat().st_size - 7)(folder),
        "model.safetensors: damaged weights",
    ),
    "empty weights": (write("model.safetensors", b""), "model.safetensors: damaged weights"),
    "weights that are text": (write("model.safetensors", "Drive carefully.\n"), "model.safetensors: damaged weights"),
    "a header of 2^63 bytes": (
        write("model.safetensors", b"\xff" * 7 + b"\x7f" + b"{}"), "model.safetensors: damaged weights"
    ),
    "a Git LFS pointer": (
        write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"), "git lfs pull"
    ),
    "weights under another name": (
        lambda folder: (folder / "model.safetensors").rename(folder / "weights.safetensors"), "lack model.safetensors"
    ),
    "pickled weights": (
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "no .safetensors weights"
    ),
    # an index of shards
    "an index that names a missing shard": (
        shards({"model.norm.weight": "model-00002-of-00002.safetensors"}), "lack model-00002-of-00002.safetensors"
    ),
    "an index that leads out of the folder": (shards({"a": "../model.safetensors"}), "names no files beside it"),
    "an index without a map": (write("model.safetensors.index.json", "{}"), "names no files beside it"),
    "an index that is no JSON": (write("model.safetensors.index.json", "{"), "index.json: no JSON"),
    # the configuration
    "no configuration": (remove(CONFIG), "no config.json"),
    "an empty configuration": (write(CONFIG, ""), "config.json: no JSON"),
    "a configuration cut short": (cut(CONFIG, 100), "config.json: no JSON"),
    "a configuration that is a list": (write(CONFIG, "[]"), "config.json: no JSON object"),
    "a configuration of 8 GB": (_grow(CONFIG, 2**33), "are too many for such a file"),
    "a tokenizer of 8 GB": (_grow("tokenizer.json", 2**33), "are too many for such a file"),
    "a template of 8 GB": (_grow("chat_template.jinja", 2**33), "are too many for such a file"),
    "a configuration of deep nesting": (write(CONFIG, NESTED), "config.json: no JSON"),
    "a configuration that is no text": (write(CONFIG, b"\xff\xfe\x00\x01"), "config.json: no JSON"),
    "a configuration without a kind": (edit(CONFIG, model_type=None), "names no model_type"),
    "a kind that is a number": (edit(CONFIG, model_type=3), "names no model_type"),
    "a kind that nobody knows": (edit(CONFIG, model_type="nothing"), "no vision-language model"),
    "a text model": (write(CONFIG, json.dumps({"model_type": "qwen2"})), "a qwen2 model"),
    "an image classifier": (write(CONFIG, json.dumps({"model_type": "vit"})), "a vit model"),
    "code of its own": (
        edit(CONFIG, model_type="mine", auto_map={"AutoConfig": "code.Config", "AutoModel": "code.Model"}),
        "needs code of its own (auto_map), which is never run",
    ),
    "more layers than weights": (edit(CONFIG, text_config__num_hidden_layers=10**9), "num_hidden_layers is 1000000000"),
    "one more layer": (edit(CONFIG, text_config__num_hidden_layers=3, text_config__layer_types=None), "lack "),
    "one layer less": (edit(CONFIG, vision_config__depth=1), "hold unknown"),
    "a width of 65536": (edit(CONFIG, text_config__hidden_size=2**16), "describes"),
    "another width": (edit(CONFIG, text_config__intermediate_size=120), "wrong shapes in"),
    "a width of nothing": (edit(CONFIG, text_config__hidden_size=0), "model"),
    "a negative width": (edit(CONFIG, text_config__hidden_size=-64), "model"),
    "a width in words": (edit(CONFIG, text_config__hidden_size="wide"), "model"),
    "heads that do not divide": (edit(CONFIG, text_config__num_attention_heads=3), "model"),
    "an activation that nobody knows": (edit(CONFIG, text_config__hidden_act="magic"), "model"),
    "a wrong rope": (
        edit(CONFIG, text_config__rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1]}),
        "model",
    ),
    "another image token": (edit(CONFIG, image_token_id=7), "different image tokens"),
    "an unread quantisation": (
        edit(CONFIG, quantization_config={"quant_method": "gptq", "bits": 4}), "quantised by gptq, which is not read"
    ),
    "a damaged quantisation": (edit(CONFIG, quantization_config={"quant_method": "compressed-tensors"}), "model"),
    "a quantisation in words": (edit(CONFIG, quantization_config="awq"), "no vision-language model"),
    # adapters
    "adapters alone": (
        lambda folder: (folder / CONFIG).rename(folder / "adapter_config.json"), "adapters without their model"
    ),
    "adapters beside the model": (write("adapter_config.json", "{}"), "adapters lie beside the model"),
    # tokenizer and template
    "no tokenizer": (remove("tokenizer.json"), "no tokenizer"),
    "an empty tokenizer": (write("tokenizer.json", "{}"), "tokenizer"),
    "a tokenizer cut short": (cut("tokenizer.json", 1000), "tokenizer"),
    "tokenizer settings cut short": (cut(WORDS, 20), "tokenizer_config.json: no JSON"),
    "a tokenizer of other words": (tokens(_beyond), "tokenizer"),
    "a tokenizer that knows one word": (tokens(_all_alike), "tokenizer"),
    "a tokenizer without image tokens": (tokens(_no_special), "model"),
    "no end token": (edit(WORDS, eos_token=None), "end token"),
    "an empty template": (write("chat_template.jinja", ""), "chat template"),
    "a template that is no template": (write("chat_template.jinja", "{% for x in %}"), "chat template"),
    "a template that raises": (write("chat_template.jinja", "{{ raise_exception('no') }}"), "chat template"),
    "a template without the picture": (write("chat_template.jinja", "{{ messages[0]['role'] }}"), "chat template"),
    # image processor
    "no image processor": (remove(PIXELS), "no image processor"),
    "an image processor that is a list": (write(PIXELS, "[1]"), "preprocessor_config.json: no JSON object"),
    "another patch size": (edit(PIXELS, patch_size=16), "patch_size is 16"),
    "a patch of nothing": (edit(PIXELS, patch_size=0), "model"),
    "another merge": (edit(PIXELS, merge_size=4), "merge_size is 4"),
    "pictures of a trillion pixels": (edit(PIXELS, size={"shortest_edge": 10**12, "longest_edge": 10**12}), "tokens"),
    "pictures of no pixels": (edit(PIXELS, size={"shortest_edge": 0, "longest_edge": 0}), "model"),
    "a size in words": (edit(PIXELS, size="large"), "model"),
    "a mean of two channels": (edit(PIXELS, image_mean=[0.5, 0.5]), "model"),
    "a spread of nothing": (edit(PIXELS, image_std=[0, 0, 0]), "model"),
    # generation
    "generation settings cut short": (write("generation_config.json", "{"), "generation_config.json: no JSON"),
}  # fmt: skip
"""By name: what is done to the folder, and a part of the line."""
