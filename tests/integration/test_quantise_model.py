"""Quantise a tiny Qwen2.5-VL through real multimodal forwards, save it, load it again."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

from drivelet.core.errors import InputError
from drivelet.quantise.answers import ANSWER_MASK, answer_log_probs, answer_positions, token_weights, valid_tokens
from drivelet.quantise.awq import fold, fold_group, quantise_groups, round_group, scaled_gram
from drivelet.quantise.calibrate import calibrate
from drivelet.quantise.decoder import find_groups
from drivelet.quantise.pack import save_packed
from drivelet.quantise.quantise import AwqConfig, quantise, quantise_model
from drivelet.quantise.rounding import Rounding
from drivelet.quantise.sensitivity import SensitivityConfig, sensitivity
from drivelet.runtime.engine import Engine
from drivelet.vlm.answers import training_branch
from drivelet.vlm.batch import pack
from drivelet.vlm.load import load
from tiny_vlm import LAMP, LAMP_TEXT, noise, questions

IMAGE, START, END = 290, 288, 289
LENGTH = 24


def tiny_model(*, kv_heads: int = 2, tie: bool = False, intermediate: int = 128, seed: int = 0) -> Any:
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 300,
            "hidden_size": 64,
            "intermediate_size": intermediate,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": kv_heads,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
            "bos_token_id": 0,
            "eos_token_id": 1,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_heads": 4,
            "out_hidden_size": 64,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=IMAGE,
        video_token_id=291,
        vision_start_token_id=START,
        vision_end_token_id=END,
        tie_word_embeddings=tie,
    )
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "language_model" in name and name.endswith("_proj.weight"):
                parameter.mul_(5)
            if "language_model" in name and "layernorm" in name:
                # A few loud channels, as grown models have them: what AWQ is for.
                parameter.add_(torch.rand_like(parameter))
                parameter[::13] *= 15
            if name.endswith("_proj.bias"):
                parameter.normal_(std=0.1)
    return model


def make_batch(seed: int, *, mask: str = "2d") -> dict[str, torch.Tensor]:
    """Two rows with an image of 8x8 patches (16 tokens) each; the second row is padded by three tokens."""
    generator = torch.Generator().manual_seed(seed)
    text_BL = torch.randint(2, 280, (2, LENGTH), generator=generator)
    text_BL[:, 0], text_BL[:, 1:17], text_BL[:, 17] = START, IMAGE, END
    valid_BL = torch.ones(2, LENGTH, dtype=torch.long)
    valid_BL[1, -3:] = 0
    answers_BL = torch.zeros(2, LENGTH, dtype=torch.bool)
    answers_BL[0, -2], answers_BL[1, -5:-3] = True, True
    batch = {
        "input_ids": text_BL,
        "pixel_values": torch.randn(128, 1176, generator=generator),
        "image_grid_thw": torch.tensor([[1, 8, 8], [1, 8, 8]]),
        "attention_mask": valid_BL,
        ANSWER_MASK: answers_BL,
    }
    if mask == "2d":
        return batch | {"mm_token_type_ids": (text_BL == IMAGE).int()}
    looks = torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril() & valid_BL.bool()[:, None, None]
    looks = looks & valid_BL.bool()[:, None, :, None] | torch.eye(LENGTH, dtype=torch.bool)
    positions_3BL = torch.arange(LENGTH).expand(3, 2, -1).clone()
    positions_3BL[1:, :, 1:17] = torch.stack([torch.arange(16) // 4, torch.arange(16) % 4])[:, None]
    additive = torch.zeros_like(looks, dtype=torch.float32).masked_fill(~looks, torch.finfo(torch.float32).min)
    return batch | {"attention_mask": looks if mask == "bool" else additive, "position_ids": positions_3BL}


@pytest.fixture(scope="module")
def batches() -> list[dict[str, torch.Tensor]]:
    return [make_batch(0), make_batch(1, mask="bool"), make_batch(2, mask="additive")]


def logits(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model(**{k: v for k, v in batch.items() if k != ANSWER_MASK}, use_cache=False).logits[
            valid_tokens(batch)
        ]


def save_source(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "preprocessor_config.json").write_text('{"a": 1}')
    return folder


def test_tokens_are_weighted_by_answers_and_never_by_padding() -> None:
    for mask in ("2d", "bool", "additive"):
        batch = make_batch(0, mask=mask)
        weight_BL = token_weights(batch, 0.4)
        assert not weight_BL[1, -3:].any()
        assert weight_BL[:, :10].all()
        assert float(weight_BL[batch[ANSWER_MASK]].sum() / weight_BL.sum()) == pytest.approx(0.4)
        assert float(weight_BL.sum()) == pytest.approx(2.0)
        last = {k: v for k, v in batch.items() if k != ANSWER_MASK}
        assert answer_positions(last).nonzero().tolist() == [[0, LENGTH - 1], [1, LENGTH - 4]]


def test_answer_log_probs_are_those_of_the_whole_forward(batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model()
    for batch in batches:
        full_KV = model(**{k: v for k, v in batch.items() if k != ANSWER_MASK}).logits[batch[ANSWER_MASK]]
        torch.testing.assert_close(answer_log_probs(model, batch), full_KV.log_softmax(-1).detach(), rtol=0, atol=1e-5)


def test_groups_lie_in_the_language_model_alone() -> None:
    groups = find_groups(tiny_model())
    assert [(g.layer, g.name) for g in groups] == [(i, n) for i in (0, 1) for n in ("qkv", "o", "gate_up", "down")]
    names = [name for group in groups for name in group.linears]
    assert len(names) == 14
    assert all(name.startswith("model.language_model.layers.") for name in names)
    assert all((group.source is None) == (group.name == "o") for group in groups)
    assert all(group.source is not None for group in find_groups(tiny_model(kv_heads=4)))


@pytest.mark.parametrize("kv_heads", [2, 4])
def test_folding_alone_leaves_the_logits(kv_heads: int, batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model(kv_heads=kv_heads)
    wanted = [logits(model, batch) for batch in batches]
    groups = find_groups(model)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for number, group in enumerate(groups):
        if group.source is not None:
            size = next(iter(group.linears.values())).in_features
            fold(group, torch.rand(size, generator=torch.Generator().manual_seed(number)) * 4 + 0.2)
    for batch, full in zip(batches, wanted, strict=True):
        torch.testing.assert_close(logits(model, batch), full, rtol=1e-4, atol=1e-5 * float(full.abs().max()) + 1e-5)
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(before[name], parameter)}
    assert {name.split(".")[-2] for name in moved} >= {"q_proj", "down_proj", "input_layernorm", "up_proj"}
    assert not any("visual" in name or "lm_head" in name or "embed" in name for name in moved)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_awq_errs_no_more_than_rounding(bits: int, symmetric: bool, batches: list[dict[str, torch.Tensor]]) -> None:
    base = tiny_model(kv_heads=4)
    rows = {}
    for method in ("rtn", "awq"):
        config = AwqConfig(bits=bits, group_size=32, symmetric=symmetric, method=method, grid=10)
        rows[method] = quantise_model(config, model=copy.deepcopy(base), batches=batches).report["groups"]
    for plain, chosen in zip(rows["rtn"], rows["awq"], strict=True):
        assert plain["error"] == pytest.approx(plain["error_rtn"], rel=1e-4)
        assert chosen["error_rtn"] == pytest.approx(plain["error_rtn"], rel=1e-4)
        assert chosen["error"] <= plain["error"] * 1.01
    assert plain_sum(rows["awq"]) < 0.8 * plain_sum(rows["rtn"])


def plain_sum(rows: list[dict[str, Any]]) -> float:
    return sum(row["error"] for row in rows)


def test_awq_without_a_source_searches_no_scale(batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model()
    groups = find_groups(model)
    calibration = calibrate(model, groups, batches, search_tokens=64)
    output = next(group for group in groups if group.name == "o")
    folded = fold_group(output, calibration.stats[output.path], Rounding(bits=4, group_size=32), grid=5)
    assert folded.alpha is None
    assert torch.equal(folded.scale_N, torch.ones(64))


def test_calibration_sees_what_the_layers_see(batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model()
    groups = find_groups(model)
    seen: list[torch.Tensor] = []
    handle = groups[3].parent.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    calibration = calibrate(model, groups, batches, search_tokens=48, gram_group_size=32)
    handle.remove()
    weight = torch.cat([token_weights(batch, 0.5).flatten() for batch in batches])
    inputs = torch.cat([x.flatten(0, 1) for x in seen])
    stats = calibration.stats[groups[3].path]
    torch.testing.assert_close(stats.mean_abs_N, (weight @ inputs.abs()) / weight.sum())
    assert stats.gram_GKK is not None
    torch.testing.assert_close(
        stats.gram_GKK[1], (inputs[:, 32:64].T * weight) @ inputs[:, 32:64], rtol=1e-4, atol=1e-5
    )
    assert stats.outlier_ratio > 1
    assert sum(len(call.inputs) for call in stats.calls) <= 48
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("tie", "dtype", "config"),
    [
        (False, torch.float32, AwqConfig(bits=4, group_size=32, grid=4)),
        (True, torch.bfloat16, AwqConfig(bits=4, group_size=64, grid=4)),
        (True, torch.float32, AwqConfig(bits=8, group_size=64, symmetric=False, grid=4)),
        (False, torch.bfloat16, AwqConfig(bits=4, group_size=32, symmetric=False, method="rtn")),
    ],
)
def test_the_saved_folder_computes_as_the_model_in_memory(
    tie: bool, dtype: torch.dtype, config: AwqConfig, tmp_path: Path, batches: list[dict[str, torch.Tensor]]
) -> None:
    source = save_source(tiny_model(tie=tie), tmp_path / "source")
    # Loaded in its dtype, not cast: a cast would also round the rotary frequencies.
    model = AutoModelForImageTextToText.from_pretrained(source, dtype=dtype).eval()
    batches = [{k: v.to(dtype) if v.is_floating_point() else v for k, v in batch.items()} for batch in batches]
    original = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    out = quantise(config, model_path=source, batches=batches, out=tmp_path / "out", model=model)

    loaded = AutoModelForImageTextToText.from_pretrained(out).eval()
    assert loaded.dtype == dtype
    for batch in batches:
        torch.testing.assert_close(logits(loaded, batch), logits(model, batch), rtol=0, atol=0)

    stored = load_file(out / "model.safetensors")
    assert sum(name.endswith("weight_packed") for name in stored) == 14
    assert all("language_model" in name or "layers" in name for name in stored if "weight_packed" in name)
    assert ("lm_head.weight" in stored) != tie
    untouched = [name for name in original if "visual" in name or "lm_head" in name or "embed_tokens" in name]
    assert len(untouched) > 20
    for name in untouched:
        assert torch.equal(loaded.state_dict()[name], original[name]), name
    settings = json.loads((out / "config.json").read_text())["quantization_config"]
    assert settings["quant_method"] == "compressed-tensors"
    assert settings["format"] == "pack-quantized"
    assert settings["ignore"] == ["re:.*visual.*", "re:.*lm_head"]
    assert (out / "preprocessor_config.json").read_text() == '{"a": 1}'
    assert (out / "tokenizer.json").is_file()


def test_the_report_says_what_was_lost_and_saved(tmp_path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    source = save_source(tiny_model(), tmp_path / "source")
    out = quantise(AwqConfig(group_size=32, grid=4), model_path=source, batches=iter(batches), out=tmp_path / "out")
    report = json.loads((out / "awq.json").read_text())
    assert report["answers"]["answer_tokens"] == 9
    assert 0 < report["answers"]["answer_kl_mean"] <= report["answers"]["answer_kl_max"]
    assert len(report["groups"]) == 8
    module = report["groups"][0]["modules"]["model.language_model.layers.0.self_attn.q_proj"]
    assert module == {"bytes_before": 64 * 64 * 4, "bytes_after": 64 * 64 // 2 + 64 * 2 * 4 + 16}
    size = (out / "model.safetensors").stat().st_size / 1e6
    assert report["weight_mb"]["after"] == pytest.approx(size, abs=0.02)
    assert report["weight_mb"]["before"] > report["weight_mb"]["after"]


def test_quantising_twice_gives_the_same_folder(tmp_path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    source = save_source(tiny_model(), tmp_path / "source")
    outs = [
        quantise(AwqConfig(group_size=32, grid=3), model_path=source, batches=batches, out=tmp_path / name)
        for name in ("a", "b")
    ]
    for file in ("model.safetensors", "config.json", "awq.json"):
        assert (outs[0] / file).read_bytes() == (outs[1] / file).read_bytes()


def test_sensitivity_grows_as_bits_shrink_and_leaves_the_model(batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    labelled = [("lamp", batches[0]), ("cone", batches[1]), ("lamp", batches[2])]
    rows = sensitivity(SensitivityConfig(group_size=32), model=model, batches=labelled)
    assert len(rows) == 4 * 3 * 2
    kl = {(row.task, row.group, row.bits): row.kl_mean for row in rows}
    for task in ("lamp", "cone"):
        for group in ("qkv", "o", "gate_up", "down"):
            assert kl[task, group, 8] < kl[task, group, 3]
    assert {row.answer_tokens for row in rows if row.task == "lamp"} == {6}
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    single = sensitivity(SensitivityConfig(bits=(4,), group_size=32, per_layer=True), model=model, batches=labelled[:1])
    assert [(row.layer, row.group) for row in single][:5] == [
        *((0, n) for n in ("qkv", "o", "gate_up", "down")),
        (1, "qkv"),
    ]


def refuse_group_size(path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    source = save_source(tiny_model(intermediate=96), path / "odd")
    quantise(AwqConfig(group_size=64), model_path=source, batches=batches, out=path / "out")


def refuse_no_batches(path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    quantise(AwqConfig(group_size=32), model_path=save_source(tiny_model(), path / "m"), batches=[], out=path / "out")


def refuse_three_bits(path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    quantise(AwqConfig(bits=3), model_path=path, batches=batches, out=path / "out")


def refuse_missing_folder(path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    quantise(AwqConfig(), model_path=path / "nowhere", batches=batches, out=path / "out")


def refuse_empty_answers(path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    unmarked = batches[0] | {ANSWER_MASK: torch.zeros(2, LENGTH, dtype=torch.bool)}
    quantise_model(AwqConfig(group_size=32), model=tiny_model(), batches=[unmarked])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (refuse_group_size, r"layers\.0\.mlp\.down_proj: 96 inputs do not divide into groups of 64"),
        (refuse_no_batches, "no batches"),
        (refuse_three_bits, "export takes 4 or 8"),
        (refuse_missing_folder, r"no config\.json"),
        (refuse_empty_answers, "must mark some of the tokens"),
    ],
)
def test_wrong_input_is_one_clear_line(
    call: Callable[..., None], message: str, tmp_path: Path, batches: list[dict[str, torch.Tensor]]
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call(tmp_path, batches)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_norm_of_another_kind_is_refused() -> None:
    class ShiftedNorm(torch.nn.RMSNorm):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.rms_norm(x, self.normalized_shape, self.weight + 1, self.eps)

    model = tiny_model()
    model.model.language_model.layers[0].input_layernorm = ShiftedNorm(64)
    with pytest.raises(InputError, match="does not scale by its weight"):
        fold(find_groups(model)[0], torch.full((64,), 3.0))


def test_rounded_weights_stay_in_the_model(batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model()
    groups = find_groups(model)
    calibration = calibrate(model, groups, batches, search_tokens=48)
    rounded = quantise_groups(groups[:4], calibration.stats, Rounding(bits=4, group_size=32), grid=0, clip=False)
    for item in rounded:
        for name, weight in item.weights.items():
            assert torch.equal(model.get_submodule(name).weight, weight.dequantise())


def test_grams_follow_the_folded_inputs(batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model()
    groups = find_groups(model)
    rounding = Rounding(bits=3, group_size=32)
    calibration = calibrate(model, groups, batches, search_tokens=96, gram_group_size=32)
    folded = [fold_group(group, calibration.stats[group.path], rounding, grid=10) for group in groups]
    again = calibrate(model, groups, batches, search_tokens=96, gram_group_size=32)
    assert sum(item.alpha is not None for item in folded) >= 4
    for item in folded:
        wanted_GKK = again.stats[item.group.path].gram_GKK
        assert wanted_GKK is not None
        torch.testing.assert_close(scaled_gram(item), wanted_GKK, rtol=1e-3, atol=1e-4 * float(wanted_GKK.max()))


def test_clipping_that_hurts_the_parent_is_dropped(batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model()
    groups = find_groups(model)
    rounding = Rounding(bits=4, group_size=32)
    calibration = calibrate(model, groups, batches, search_tokens=96, gram_group_size=32)
    group, stats = groups[3], calibration.stats[groups[3].path]
    # Inputs that were never there: only one channel of each group would seem to matter.
    stats.gram_GKK = torch.zeros(4, 32, 32)
    stats.gram_GKK[:, 0, 0] = 1.0
    rounded = round_group(fold_group(group, stats, rounding, grid=0), rounding, clip=True)
    assert not rounded.clipped
    assert rounded.error == pytest.approx(rounded.error_rtn, rel=1e-4)


def test_statistics_of_nan_name_their_layer(batches: list[dict[str, torch.Tensor]]) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.language_model.layers[1].post_attention_layernorm.weight[3] = float("nan")
    message = r"layers\.1\.mlp: NaN or infinite activations in calibration image 1"
    with pytest.raises(InputError, match=message):
        quantise_model(AwqConfig(group_size=32), model=model, batches=batches)


def test_a_scale_that_is_no_number_is_not_saved(tmp_path: Path, batches: list[dict[str, torch.Tensor]]) -> None:
    source, model = save_source(tiny_model(), tmp_path / "source"), tiny_model()
    weights = quantise_model(AwqConfig(group_size=32, grid=2), model=model, batches=batches).weights
    name = next(iter(weights))
    weights[name].scale_OG[0, 0] = float("inf")
    with pytest.raises(InputError, match=rf"quantised: NaN or infinite values in {name}.weight_scale"):
        save_packed(model, weights, source=source, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("asked", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [True, False])
def test_a_quantised_model_answers_in_any_dtype(
    tiny_folder: Path, tmp_path: Path, stored: torch.dtype, asked: torch.dtype, tied: bool
) -> None:
    source = Path(shutil.copytree(tiny_folder, tmp_path / "source"))
    config = json.loads((source / "config.json").read_text()) | {"tie_word_embeddings": tied}
    model: Any = AutoModelForImageTextToText.from_config(Qwen2_5_VLConfig.from_dict(config)).to(stored)
    model.save_pretrained(source)
    assert ("lm_head.weight" in load_file(source / "model.safetensors")) != tied
    loaded = load(source)
    branch = training_branch(loaded.processor, LAMP_TEXT, LAMP, "red")
    batch = pack(loaded, noise(0), [branch.nodes]).model_inputs()
    out = quantise(AwqConfig(group_size=32, grid=2), model_path=source, batches=[batch], out=tmp_path / "out")
    engine = Engine.from_pretrained(out, dtype=asked)
    assert {parameter.dtype for parameter in engine.loaded.model.parameters()} == {asked}
    assert engine.dtype == str(asked).removeprefix("torch.")
    for scored in engine.score(noise(0), questions()):
        assert scored.answer == max(scored.probs, key=lambda choice: scored.probs[choice])
    full = Engine.from_pretrained(source, dtype=asked).score(noise(0), questions())
    for one, other in zip(engine.score(noise(0), questions()), full, strict=True):
        assert one.probs == pytest.approx(other.probs, abs=0.2)
