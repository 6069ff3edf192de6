"""The prompt library: one instruction a field, its variants, and the scene elements that call for them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel
from pydantic import Field as Length

from drivelet.core.artifacts import Field, Prompt, Question
from drivelet.core.errors import InputError
from drivelet.core.outside import read_as, short

FILE = "prompts.json"
SENSOR = "{sensor}"
QUESTION = "{question}"
LISTABLE = 12
LONGEST = 4000
"""Characters of an instruction; a model reads it for every picture."""
OPTIONS = ("none", "listed", "reversed")

CONTEXTS: Mapping[str, str] = {
    "night": "It is dark: rely on lit lamps and on what the headlights show.",
    "fog": "Sight is poor: look twice for what is pale or small.",
    "lamp": "A lit lamp is in view: check whether it governs this car.",
    "cone": "Orange objects are in view: cones are orange with white bands.",
    "sign": "A sign is in view: read its number.",
    "intersection": "White bars on the road are in view: a stop line or a crosswalk.",
}
"""Scene element -> what a prompt says when the signals see it."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The parts of a prompt, in the order in which they are read; an edit changes one part.

    Attributes:
        question: a wording of the field's question.
        hint: a sentence that points at what matters, or empty.
        options: `none`, `listed` or `reversed`: how the answers are listed after the question.
        sensor: whether the sensor text, where there is one, comes first.
        element: the scene element that triggers the prompt, or empty: always.
    """

    question: str
    hint: str = ""
    options: str = "none"
    sensor: bool = True
    element: str = ""


def compose(form: Form, field: Field, *, parent: str = "") -> Prompt:
    """Return the library entry of a form."""
    answers = field.answers[::-1] if form.options == "reversed" else field.answers
    parts = [
        SENSOR if form.sensor else "",
        CONTEXTS[form.element] if form.element else "",
        form.hint,
        QUESTION if form.question == field.question else form.question,
        f"Options: {', '.join(answers)}." if form.options != "none" else "",
    ]
    triggers = (form.element,) if form.element else ()
    text = " ".join(part for part in parts if part)
    return sealed(Prompt(field=field.name, text=text, triggers=triggers, parent=parent))


def sealed(prompt: Prompt) -> Prompt:
    """Return the entry with `version` set to the hash of field, text and triggers: an edit is a new entry."""
    content = "\x1f".join([prompt.field, prompt.text, *prompt.triggers])
    return replace(prompt, version=blake2b(content.encode(), digest_size=6).hexdigest())


def form_of(prompt: Prompt, field: Field) -> Form:
    """Return a form that renders as the entry does; what is neither sensor text nor trigger counts as its wording."""
    text = " ".join(prompt.text.replace(SENSOR, "").replace(QUESTION, field.question).split())
    element = prompt.triggers[0] if prompt.triggers else ""
    text = text.removeprefix(CONTEXTS[element]).strip() if element else text
    return Form(question=text, sensor=SENSOR in prompt.text, element=element)


def neighbours(form: Form, field: Field) -> list[Form]:
    """Return every form one edit away: wording, hint, option list and order, sensor text; held-out wordings never."""
    options = OPTIONS if len(field.answers) <= LISTABLE else OPTIONS[:1]
    edits = [
        *(replace(form, question=text) for text in dict.fromkeys((field.question, *field.wordings))),
        *(replace(form, hint=hint) for hint in ("", *field.hints)),
        *(replace(form, options=way) for way in options),
        replace(form, sensor=not form.sensor),
    ]
    return [edit for edit in dict.fromkeys(edits) if edit != form]


def default_library(fields: Mapping[str, Field]) -> list[Prompt]:
    """Return the canonical entry of every field, every single edit of it, and a variant for each scene element."""
    entries: list[Prompt] = []
    for field in fields.values():
        base = Form(question=field.question)
        forms = [base, *neighbours(base, field), *(replace(base, element=element) for element in CONTEXTS)]
        root = compose(base, field).version
        entries += [compose(form, field, parent="" if form == base else root) for form in forms]
    return entries


def canonical(fields: Mapping[str, Field]) -> list[Prompt]:
    """Return one entry a field: its canonical question, behind the sensor text where there is one."""
    return [compose(Form(question=field.question), field) for field in fields.values()]


def render_question(prompt: Prompt, field: Field, sensor: str = "") -> Question:
    """Return the question to put to a model; the sensor text stands where the entry has a place for it."""
    text = prompt.text.replace(SENSOR, sensor).replace(QUESTION, field.question)
    return Question(field=field.name, text=" ".join(text.split()), choices=field.choices, prompt_id=prompt.version)


def save_library(folder: Path, entries: Sequence[Prompt]) -> Path:
    """Write `folder/prompts.json`: the entries and the hash of all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [sealed(entry) for entry in entries]
    digest = blake2b("".join(entry.version for entry in entries).encode(), digest_size=6).hexdigest()
    partial = folder / f"{FILE}.partial"
    body = {"version": digest, "entries": [asdict(entry) for entry in entries]}
    partial.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return partial.replace(folder / FILE)


class _Entry(BaseModel):
    field: str
    text: Annotated[str, Length(max_length=LONGEST)]
    triggers: tuple[str, ...]
    parent: str = ""


class _Library(BaseModel):
    entries: Annotated[list[_Entry], Length(min_length=1)]


def load_library(folder: Path, fields: Mapping[str, Field]) -> list[Prompt]:
    """Read a library from `prompts.json` or the folder that holds it; edited texts get new versions.

    Raises:
        InputError: no such file, no valid JSON, an unknown field or trigger, or an empty text.
    """
    path = folder / FILE if folder.is_dir() else folder
    if not path.exists():
        raise InputError(f"{path}: no prompt library; `drivelet prompts optimise` writes one")
    found: _Library = read_as(path, _Library, remedy="correct the entry, or write it again with `prompts optimise`")
    for number, entry in enumerate(found.entries):
        _check(entry, f"{path}: entries.{number}", fields)
    return [
        sealed(Prompt(field=entry.field, text=entry.text, triggers=entry.triggers, parent=entry.parent))
        for entry in found.entries
    ]


def _check(entry: _Entry, where: str, fields: Mapping[str, Field]) -> None:
    if entry.field not in fields:
        raise InputError(f"{where}: field {short(entry.field)} is none of {', '.join(fields)}")
    unknown = [name for name in entry.triggers if name not in CONTEXTS]
    if unknown:
        raise InputError(f"{where}: trigger {short(unknown[0])} is none of {', '.join(CONTEXTS)}")
    if not entry.text.strip():
        raise InputError(f"{where}: an entry of {entry.field} has no text; remove the entry or give it one")


def base_entries(entries: Iterable[Prompt], fields: Mapping[str, Field]) -> dict[str, Prompt]:
    """Return for every field its first entry without triggers, or its canonical one where the library has none."""
    found = {entry.field: entry for entry in canonical(fields)}
    for entry in reversed(list(entries)):
        if not entry.triggers:
            found[entry.field] = entry
    return found
