"""Distillation of a tiny student: what the loss sees, resume, adapters, merging, and that it learns."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from drivelet.core.errors import InputError
from drivelet.core.flow import read_json
from drivelet.core.tables import append_table, has_table, read_rows
from drivelet.distil import train
from drivelet.distil.soft_labels import SCHEMA, TABLE, TEMPERATURES, Example, SoftLabelConfig, cache_soft_labels
from drivelet.distil.train import DistilConfig, distil
from drivelet.runtime.engine import Engine
from drivelet.vlm.batch import Packed, chain, hidden_states, pack
from drivelet.vlm.checkpoint import save_checkpoint
from drivelet.vlm.load import Loaded, load
from drivelet.vlm.lora import LANGUAGE, VISION, LoraSettings, add_lora, merge_and_save
from tiny_vlm import LAMP, LAMP_TEXT, LESSONS, SIGN, SIGN_TEXT, noise, questions, save_taught, solid

LORA = LoraSettings(rank=4, alpha=8.0)
SHORT = DistilConfig(steps=4, images_per_step=2, warmup=1, checkpoint_every=2, lora=LORA)


@pytest.fixture(scope="module")
def soft_labels(taught: Loaded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, examples = tmp_path_factory.mktemp("soft"), []
    for number, (colour, lamp, sign) in enumerate(LESSONS):
        path = str(folder / f"{number}.png")
        Image.fromarray(solid(colour)).save(path)
        examples.append(Example(image=path, field="lamp", text=LAMP_TEXT, choices=LAMP, allowed=(lamp,)))
        examples.append(Example(image=path, field="sign", text=SIGN_TEXT, choices=SIGN, allowed=(sign,)))
    return cache_soft_labels(
        SoftLabelConfig(top_k=8), teacher=taught.path, examples=examples, out=folder, loaded=taught
    )


def weights(model: Path) -> dict[str, torch.Tensor]:
    return load_file(model / "model.safetensors")


def equal(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("target", ["answers", "both"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_resumed_run_is_the_undisturbed_one_bit_for_bit(
    tiny_folder: Path,
    soft_labels: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    dropout: float,
) -> None:
    config = replace(SHORT, soft_target=target, lora=replace(LORA, dropout=dropout))
    whole = distil(config, student=tiny_folder, soft_labels=soft_labels, out=tmp_path / "whole")

    def save_and_stop(path: Path, **state: Any) -> None:
        save_checkpoint(path, **state)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(train, "save_checkpoint", save_and_stop)
        distil(config, student=tiny_folder, soft_labels=soft_labels, out=tmp_path / "out")
    assert not (tmp_path / "out" / "model").exists() and (tmp_path / "out" / "checkpoint.safetensors").is_file()
    torch.manual_seed(123)
    resumed = distil(config, student=tiny_folder, soft_labels=soft_labels, out=tmp_path / "out")
    assert equal(resumed, whole) and not equal(resumed, tiny_folder)
    assert not (tmp_path / "out" / "checkpoint.safetensors").exists()


def test_only_decisions_and_answer_tokens_get_a_gradient(
    tiny_folder: Path, tiny: Loaded, soft_labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Packed, torch.Tensor]] = []

    def watched(model: Any, packed: Packed) -> torch.Tensor:
        hidden = hidden_states(model, packed)
        hidden.retain_grad()
        seen.append((packed, hidden))
        return hidden

    monkeypatch.setattr(train, "hidden_states", watched)
    config = replace(SHORT, steps=1, soft_target="both")
    distil(config, student=tiny_folder, soft_labels=soft_labels, out=tmp_path)
    ((packed, hidden),) = seen
    gradient = hidden.grad
    assert gradient is not None
    reached_BL = gradient.abs().sum(-1) > 0
    asked = [len(tiny.processor.tokens(t)) + len(tiny.processor.suffix_ids) for t in (LAMP_TEXT, SIGN_TEXT)]
    first_BL = torch.tensor(asked)[packed.branch_BL.clamp_min(0)] - 1
    answering_BL = (packed.branch_BL >= 0) & (packed.node_BL >= first_BL)
    assert bool(reached_BL.any()) and not bool((reached_BL & ~answering_BL).any())
    assert bool(reached_BL[(packed.branch_BL >= 0) & (packed.node_BL == first_BL)].all())
    assert packed.input_ids_BL.shape[1] % 32 == 0


@pytest.fixture(scope="module")
def student_folder(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student that learned the same words, and gives every picture the answers of the next one."""
    colours, lamps, signs = zip(*LESSONS, strict=True)
    wrong = list(zip(colours, lamps[1:] + lamps[:1], signs[1:] + signs[:1], strict=True))
    return save_taught(tiny_folder, tmp_path_factory.mktemp("models") / "student", lessons=wrong)


def right_answers(model: Path) -> int:
    engine = Engine(load(model, dtype=torch.float32))
    given = [scored.answer for colour, _, _ in LESSONS for scored in engine.score(solid(colour), questions())]
    gold = [answer for _, lamp, sign in LESSONS for answer in (lamp, sign)]
    return sum(a == b for a, b in zip(given, gold, strict=True))


@pytest.mark.parametrize("config", [DistilConfig(alpha=0.0), DistilConfig(), DistilConfig(soft_target="tokens")])
def test_the_student_learns_from_its_teacher(
    student_folder: Path, soft_labels: Path, tmp_path: Path, config: DistilConfig
) -> None:
    lora = LoraSettings(rank=16, alpha=32.0, targets=(LANGUAGE, VISION))
    config = replace(config, steps=40, images_per_step=4, warmup=2, learning_rate=5e-3, augment=False, lora=lora)
    model = distil(config, student=student_folder, soft_labels=soft_labels, out=tmp_path / "out")
    distil(replace(config, steps=1), student=student_folder, soft_labels=soft_labels, out=tmp_path / "one")
    before = read_json(tmp_path / "one" / "train.json")["last_losses"][-1]
    after = read_json(tmp_path / "out" / "train.json")["last_losses"][-5:]
    assert right_answers(student_folder) <= 1 and right_answers(model) >= 7
    assert sum(after) / len(after) < 0.2 * before


def test_adapters_sit_where_the_path_says(tiny_folder: Path) -> None:
    names = [n for n, p in add_lora(load(tiny_folder), LORA, seed=0).named_parameters() if p.requires_grad]
    assert len(names) == 2 * 2 * 7 and all("language_model" in name and "visual" not in name for name in names)
    settings = replace(LORA, targets=(LANGUAGE, VISION))
    both = [n for n, p in add_lora(load(tiny_folder), settings, seed=0).named_parameters() if p.requires_grad]
    assert set(names) < set(both) and any("visual.blocks.0.mlp.up_proj" in name for name in both)
    assert any("visual.merger.mlp.2" in name for name in both)


def test_targets_that_match_nothing_are_one_line(tiny_folder: Path) -> None:
    with pytest.raises(InputError, match=r"lora\.targets") as caught:
        add_lora(load(tiny_folder), replace(LORA, targets=("nothing_here",)), seed=0)
    assert "\n" not in str(caught.value)


def test_merged_weights_answer_as_the_adapters_do(tiny_folder: Path, tmp_path: Path) -> None:
    loaded = load(tiny_folder)
    model = add_lora(loaded, replace(LORA, targets=(LANGUAGE, VISION)), seed=0).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    packed = pack(loaded, noise(0), [chain(loaded.processor.tokens(LAMP_TEXT))])
    with torch.inference_mode():
        expected = hidden_states(model, packed)
        merged = load(merge_and_save(model, tiny_folder, tmp_path / "merged"))
        plain = hidden_states(load(tiny_folder).model, packed)
        torch.testing.assert_close(hidden_states(merged.model, packed), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(plain, expected, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_saved_model_keeps_dtype_and_processor(
    tiny_folder: Path, soft_labels: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    source = tmp_path / "source"
    shutil.copytree(tiny_folder, source)
    load(tiny_folder, dtype=dtype).model.save_pretrained(source)
    model = distil(replace(SHORT, steps=1), student=source, soft_labels=soft_labels, out=tmp_path / "out")
    assert {value.dtype for value in weights(model).values()} == {dtype}
    assert weights(model).keys() == weights(source).keys()
    assert (model / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
    (scored, _) = Engine(load(model)).score(noise(0), questions())
    assert scored.answer in LAMP


def test_a_temperature_that_was_not_cached_is_one_line(tiny_folder: Path, soft_labels: Path, tmp_path: Path) -> None:
    config = replace(SHORT, soft_target="tokens", temperature=5.0)
    with pytest.raises(InputError, match=r"T=5\.0") as caught:
        distil(config, student=tiny_folder, soft_labels=soft_labels, out=tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_epochs_lengthen_a_short_training(tiny_folder: Path, soft_labels: Path, tmp_path: Path) -> None:
    for epochs, expected in ((0.0, 1), (2.0, len(LESSONS))):
        out = tmp_path / str(epochs)
        distil(replace(SHORT, steps=1, epochs=epochs), student=tiny_folder, soft_labels=soft_labels, out=out)
        assert read_json(out / "train.json")["steps"] == expected


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"alpha": float("nan")}, "the loss of step 1 is nan"),
        ({"alpha": float("inf")}, "the loss of step 1 is"),
        ({"temperature": float("nan")}, "the loss of step 1 is nan"),
        ({"learning_rate": float("inf")}, r"checkpoint\.safetensors of step 1: NaN or infinite values in"),
        ({"learning_rate": float("inf"), "checkpoint_every": 9}, "of step 2 is nan; nothing is saved"),
        (
            {"learning_rate": float("inf"), "steps": 1, "checkpoint_every": 9},
            "after 1 steps: NaN or infinite values in",
        ),
    ],
)
def test_numbers_that_break_a_training_save_nothing(
    tiny_folder: Path, soft_labels: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    # A configuration that checks its own ranges must not hide what the training itself does.
    config = replace(SHORT, checkpoint_every=1)
    for name, value in change.items():
        object.__setattr__(config, name, value)
    with pytest.raises(InputError, match=said) as caught:
        distil(config, student=tiny_folder, soft_labels=soft_labels, out=tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "out").rglob("*.*"))


@pytest.mark.parametrize("column", ["set_logp", "logits", "logsumexp", "weight"])
def test_a_nan_soft_label_is_named(tiny_folder: Path, soft_labels: Path, tmp_path: Path, column: str) -> None:
    rows = read_rows(soft_labels / TABLE)
    value = rows[3][column]
    rows[3][column] = float("nan") if isinstance(value, float) else [*value[:-1], float("nan")]
    append_table(tmp_path / TABLE, pa.Table.from_pylist(rows, schema=SCHEMA))
    shutil.copyfile(soft_labels / TEMPERATURES, tmp_path / TEMPERATURES)
    with pytest.raises(InputError, match=r"the soft label of sign on .*1\.png is NaN"):
        distil(SHORT, student=tiny_folder, soft_labels=tmp_path, out=tmp_path / "out")


def test_a_teacher_of_nan_answers_is_named(tiny_folder: Path, tmp_path: Path) -> None:
    """The weights are numbers, the answers are none: what is read from the disk has been checked already."""
    loaded = load(tiny_folder)
    with torch.no_grad():
        loaded.model.model.language_model.norm.weight.fill_(float("nan"))
    Image.fromarray(noise(0)).save(tmp_path / "a.png")
    example = Example(image=str(tmp_path / "a.png"), field="lamp", text=LAMP_TEXT, choices=LAMP, allowed=("red",))
    with pytest.raises(InputError, match=r"lamp on .*a\.png has NaN probabilities; the teacher is damaged"):
        cache_soft_labels(SoftLabelConfig(), teacher=tiny_folder, examples=[example], out=tmp_path, loaded=loaded)
    assert not has_table(tmp_path / TABLE)
