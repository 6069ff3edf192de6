import json
from pathlib import Path

import pytest

from drivelet import tasks
from drivelet.core.artifacts import Prompt
from drivelet.core.errors import InputError
from drivelet.prompts.library import (
    CONTEXTS,
    Form,
    base_entries,
    canonical,
    compose,
    default_library,
    form_of,
    load_library,
    neighbours,
    render_question,
    save_library,
    sealed,
)

FIELDS = tasks.fields()
STATE = FIELDS["traffic_light.state"]
POSTED = FIELDS["speed_limit.posted"]


def test_the_parts_stand_in_order() -> None:
    form = Form(question="Which lamp?", hint=STATE.hints[0], options="reversed", element="night")
    question = render_question(compose(form, STATE), STATE, "Sensors: dark.")
    options = "Options: none, off, green, yellow, red."
    assert question.text == f"Sensors: dark. {CONTEXTS['night']} {STATE.hints[0]} Which lamp? {options}"
    assert question.choices == STATE.choices
    assert render_question(compose(form, STATE), STATE).text.startswith(CONTEXTS["night"])


def test_an_entry_without_a_place_for_it_leaves_the_sensor_text_out() -> None:
    prompt = compose(Form(question=STATE.question, sensor=False), STATE)
    assert render_question(prompt, STATE, "Sensors: dark.").text == STATE.question


def test_the_default_library_never_holds_a_held_out_wording() -> None:
    texts = [entry.text for entry in default_library(FIELDS)]
    held_out = [wording for field in FIELDS.values() for wording in field.held_out_wordings]
    assert held_out
    assert not [text for text in texts for wording in held_out if wording in text]


def test_the_default_library_covers_every_field_and_element() -> None:
    entries = default_library(FIELDS)
    assert len({entry.version for entry in entries}) == len(entries)
    assert {(entry.field, t) for entry in entries for t in entry.triggers} == {(f, e) for f in FIELDS for e in CONTEXTS}
    assert base_entries(entries, FIELDS) == {entry.field: entry for entry in canonical(FIELDS)}


def test_a_long_answer_set_is_never_listed() -> None:
    assert {form.options for form in neighbours(Form(question=POSTED.question), POSTED)} == {"none"}
    assert {form.options for form in neighbours(Form(question=STATE.question), STATE)} == {"none", "listed", "reversed"}


@pytest.mark.parametrize("name", list(FIELDS))
def test_a_form_read_back_from_its_entry_says_the_same(name: str) -> None:
    field = FIELDS[name]
    for entry in default_library({name: field}):
        again = compose(form_of(entry, field), field)
        assert render_question(again, field, "Sensors: x.").text == render_question(entry, field, "Sensors: x.").text
        assert again.triggers == entry.triggers


def test_an_edit_is_a_new_version(tmp_path: Path) -> None:
    path = save_library(tmp_path, canonical(FIELDS))
    assert load_library(tmp_path, FIELDS) == canonical(FIELDS)
    path.write_text(path.read_text().replace("{question}", "Say: {question}"))
    edited = load_library(path, FIELDS)
    assert {e.version for e in edited}.isdisjoint({e.version for e in canonical(FIELDS)})


def test_the_version_depends_on_the_content_alone() -> None:
    first = sealed(Prompt(field="a", text="b", triggers=("night",), parent="x"))
    assert first.version == sealed(Prompt(field="a", text="b", triggers=("night",))).version
    assert first.version != sealed(Prompt(field="a", text="b")).version


@pytest.mark.parametrize(
    "content",
    [
        "{broken",
        "[]",
        json.dumps({"entries": [{"field": "no.field", "text": "a", "triggers": []}]}),
        json.dumps({"entries": [{"field": "cone.count", "text": "a", "triggers": ["moon"]}]}),
        json.dumps({"entries": [{"field": "cone.count", "text": " ", "triggers": []}]}),
        json.dumps({"entries": [{"field": "cone.count"}]}),
    ],
)
def test_a_damaged_library_is_one_clear_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "prompts.json").write_text(content)
    with pytest.raises(InputError) as caught:
        load_library(tmp_path, FIELDS)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_library_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prompt library"):
        load_library(tmp_path, FIELDS)
