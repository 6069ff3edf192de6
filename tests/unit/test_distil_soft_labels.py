"""The cache of the teacher's answers: exact, keyed by what it depends on, and resumed without a trace."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from drivelet.core.errors import InputError
from drivelet.core.tables import append_table, read_rows
from drivelet.distil.soft_labels import TABLE, Example, SoftLabelConfig, cache_soft_labels, teacher_fingerprint
from drivelet.runtime.engine import Engine
from drivelet.vlm.load import Loaded
from tiny_vlm import LAMP, LAMP_TEXT, LESSONS, SIGN, SIGN_TEXT, full_logits, questions, solid

CONFIG = SoftLabelConfig(top_k=8, temperatures=(1.0, 2.0, 3.0), images_per_chunk=2)


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    found = []
    for number, (colour, lamp, sign) in enumerate(LESSONS):
        path = tmp_path / f"{number}.png"
        Image.fromarray(solid(colour)).save(path)
        found.append(Example(image=str(path), field="lamp", text=LAMP_TEXT, choices=LAMP, allowed=(lamp,)))
        found.append(Example(image=str(path), field="sign", text=SIGN_TEXT, choices=SIGN, allowed=(sign,), weight=0.5))
    return found


def cached(
    out: Path, examples: Sequence[Example], loaded: Loaded, config: SoftLabelConfig = CONFIG
) -> list[dict[str, Any]]:
    return read_rows(cache_soft_labels(config, teacher=loaded.path, examples=examples, out=out, loaded=loaded) / TABLE)


def test_one_row_an_example_in_order(taught: Loaded, examples: list[Example], tmp_path: Path) -> None:
    rows = cached(tmp_path / "out", examples, taught)
    assert [(r["image"], r["field"], r["text"]) for r in rows] == [(e.image, e.field, e.text) for e in examples]
    assert [r["answer"] for r in rows] == [e.allowed[0] for e in examples]
    assert [r["weight"] for r in rows] == [e.weight for e in examples]
    assert len({r["key"] for r in rows}) == len(rows)


def test_the_answer_set_is_scored_as_the_engine_scores_it(
    taught: Loaded, examples: list[Example], tmp_path: Path
) -> None:
    rows = cached(tmp_path / "out", examples, taught)
    for number, (colour, _, _) in enumerate(LESSONS):
        for row, scored in zip(rows[2 * number :], Engine(taught).score(solid(colour), questions()), strict=False):
            logp_C = torch.tensor(row["set_logp"])
            assert logp_C.softmax(0).tolist() == pytest.approx(list(scored.probs.values()), abs=1e-4)
            assert float(logp_C.logsumexp(0)) == pytest.approx(scored.log_mass, abs=1e-4)


def test_top_k_and_logsumexp_are_those_of_a_plain_forward(
    taught: Loaded, examples: list[Example], tmp_path: Path
) -> None:
    for row, (colour, _, _) in zip(cached(tmp_path / "out", examples, taught)[::2], LESSONS, strict=True):
        ids = taught.processor.tokens(row["answer"])
        logits_NV = full_logits(taught, solid(colour), LAMP_TEXT, ids)[-len(ids) - 1 :]
        top = logits_NV.topk(CONFIG.top_k)
        torch.testing.assert_close(torch.tensor(row["logits"]).view(len(ids) + 1, -1), top.values, atol=1e-4, rtol=0)
        kept = logits_NV.gather(1, torch.tensor(row["ids"]).view(len(ids) + 1, -1))
        torch.testing.assert_close(kept, top.values, atol=1e-4, rtol=0)
        expected = torch.stack([(logits_NV / t).logsumexp(-1) for t in CONFIG.temperatures], 1)
        torch.testing.assert_close(torch.tensor(row["logsumexp"]).view_as(expected), expected, atol=1e-4, rtol=0)


def test_a_coarse_label_takes_the_allowed_answer_that_the_teacher_likes_best(
    taught: Loaded, examples: list[Example], tmp_path: Path
) -> None:
    allowed = (("5", "none"), ("5", "50"), ("unknown", "none", "5", "50"))
    coarse = [replace(examples[3], allowed=each) for each in allowed]
    rows = cached(tmp_path / "out", coarse, taught)
    for row, each in zip(rows, allowed, strict=True):
        logp = dict(zip(row["choices"], row["set_logp"], strict=True))
        assert row["answer"] == max(each, key=lambda answer, logp=logp: logp[answer])
        assert len(row["logsumexp"]) == (len(taught.processor.tokens(row["answer"])) + 1) * len(CONFIG.temperatures)
    assert rows[1]["answer"] == rows[2]["answer"] == "50" and rows[0]["answer"] != "50"


def test_a_fine_label_outweighs_the_teacher(taught: Loaded, examples: list[Example], tmp_path: Path) -> None:
    (row,) = cached(tmp_path / "out", [replace(examples[0], allowed=("green",))], taught)
    assert row["answer"] == "green" and max(zip(row["set_logp"], row["choices"], strict=True))[1] == "red"


def test_the_key_follows_pixels_teacher_and_tokens(
    taught: Loaded, tiny: Loaded, examples: list[Example], tmp_path: Path
) -> None:
    (first,) = cached(tmp_path / "a", examples[:1], taught)
    assert cached(tmp_path / "b", examples[:1], taught)[0]["key"] == first["key"]
    keys = {first["key"], cached(tmp_path / "c", examples[:1], tiny)[0]["key"]}
    keys.add(cached(tmp_path / "d", [replace(examples[0], text="Light?")], taught)[0]["key"])
    keys.add(cached(tmp_path / "e", [replace(examples[0], choices=LAMP[:3])], taught)[0]["key"])
    Image.fromarray(solid((220, 20, 21))).save(examples[0].image)
    keys.add(cached(tmp_path / "f", examples[:1], taught)[0]["key"])
    assert len(keys) == 5


def test_the_fingerprint_sees_the_last_byte_of_the_weights_and_the_template(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    shutil.copytree(tiny_folder, folder)
    assert teacher_fingerprint(folder) == teacher_fingerprint(tiny_folder)
    found = {teacher_fingerprint(folder)}
    for last in (b"\0", b"\1"):
        (folder / "model.safetensors").write_bytes(bytes(3 * 2**20) + last)
        found.add(teacher_fingerprint(folder))
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert len({*found, teacher_fingerprint(folder)}) == 4


def test_an_interrupted_run_goes_on_to_the_same_table(
    taught: Loaded, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, calls = replace(CONFIG, images_per_chunk=1), []

    def stop_at_the_third(path: Path, table: Any) -> None:
        calls.append(len(table))
        if len(calls) == 3:
            raise KeyboardInterrupt
        append_table(path, table)

    expected = cached(tmp_path / "whole", examples, taught, config)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("drivelet.distil.soft_labels.append_table", stop_at_the_third)
        cached(tmp_path / "out", examples, taught, config)
    assert len(read_rows(tmp_path / "out" / TABLE)) == 4
    assert cached(tmp_path / "out", examples, taught, config) == expected
    assert cached(tmp_path / "out", examples, taught, config) == expected


def test_nothing_to_ask_is_one_line(taught: Loaded, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to ask"):
        cached(tmp_path / "out", [], taught)
