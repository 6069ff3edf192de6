"""The dataset card: a Hugging Face README with what is in a mix, where it is from, what left, and how it was made."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from drivelet.core.flow import digest_file, digest_text
from drivelet.core.manifest import SPLITS, Row
from drivelet.dataset.clean import Cleaned

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
TABLES = ("manifest.csv", "labels.jsonl")
UNSTATED = "not stated"

CARD = """---
{head}
---

# Driving questions, mixed by Drivelet

{images} images with {rows} labelled questions from {sources} sources. An image may carry several questions; a label is
one answer of a closed set, or a coarser value that allows several of them. Test rows are as their sources gave them,
unreadable images apart; val rows are cleaned; train rows are cleaned, balanced and held to a budget.

## Images by source and split

{by_source}

## Rows by field and answer

{by_answer}

## Licences

{licences}

Rights in an image stay those of its source: the licence of every row stands in the column `licence`.

## What left, and why

{rejections}

Every row that left lies in `rejections.csv` and, with its fingerprints, in `items.lance`.

## How it was made

```text
{command}
```

Seed {seed}. Equal sources and settings give the same rows.

{digests}
"""


def write_card(
    out: Path,
    *,
    result: Cleaned,
    origin: Mapping[str, str],
    sources: Sequence[Path],
    config: Mapping[str, Any],
    defaults: Mapping[str, Any],
    options: Sequence[str] = (),
) -> Path:
    """Write `out/README.md`: YAML head, counts by source, split, field and answer, licences, rejections, origin.

    Args:
        out: the folder of the mix, whose `manifest.csv` is written.
        result: the rows that stayed and those that left.
        origin: image path -> real, drive, render or paint.
        sources: what was mixed, as given.
        config: every setting; `defaults` what they would be, had nobody changed one.
        options: further words of the command that made it.
    """
    rows = result.rows
    images = {row.path for row in rows}
    text = CARD.format(
        head="\n".join(f"{key}: {json.dumps(value)}" for key, value in _head(rows).items()),
        images=len(images),
        rows=len(rows),
        sources=len(sources),
        by_source=_by_source(rows, origin),
        by_answer=_by_answer(rows),
        licences=_table(("licence", "images"), _counted({(r.path, r.licence or UNSTATED) for r in rows})),
        rejections=_table(("reason", "rows"), _tally(f"{r.stage}: {r.reason}" for r in result.rejected)),
        command=_command(sources, [*_settings(config, defaults), *options]),
        seed=config["seed"],
        digests=_digests(out, sources, config),
    )
    (out / "README.md").write_text(text, encoding="utf-8")
    return out / "README.md"


def _head(rows: Sequence[Row]) -> dict[str, Any]:
    licences = {row.licence for row in rows}
    one = licences == {"Apache-2.0"}
    return {
        "pretty_name": "Driving questions, mixed by Drivelet",
        "license": "apache-2.0" if one else "other",
        **({} if one else {"license_name": "as-each-row-states"}),
        "language": ["en"],
        "task_categories": ["visual-question-answering"],
        "tags": ["driving", "drivelet", *sorted({row.task.split(".")[0] for row in rows})],
        "size_categories": [next((name for limit, name in SIZES if len(rows) < limit), "1M<n<10M")],
    }


def _by_source(rows: Sequence[Row], origin: Mapping[str, str]) -> str:
    found = Counter((origin[path], split) for path, split in {(row.path, row.split) for row in rows})
    names = sorted({name for name, _ in found})
    lines = [(name, *(found[name, split] for split in SPLITS)) for name in names]
    total = ("all", *(sum(found[name, split] for name in names) for split in SPLITS))
    return _table(("source", *SPLITS), [*lines, total])


def _by_answer(rows: Sequence[Row]) -> str:
    found = Counter((row.task, row.label, row.split) for row in rows)
    lines = [(t, label, *(found[t, label, split] for split in SPLITS)) for t, label in sorted({k[:2] for k in found})]
    return _table(("field", "label", *SPLITS), lines)


def _counted(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, int]]:
    return _tally(name for _, name in pairs)


def _tally(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))


def _table(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> str:
    if not lines:
        return "None."
    numbers = [isinstance(value, int) for value in lines[0]]
    rule = ["---:" if number else "---" for number in numbers]
    cells = [[str(value).replace("|", "\\|").replace("\n", " ") for value in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *cells])


def _command(sources: Sequence[Path], words: Sequence[str]) -> str:
    return shlex.join(["drivelet", "mix", *map(str, sources), "--out", "OUT", *words])


def _settings(config: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    return [part for key, value in _changed(config, defaults) for part in ("--set", f"{key}={json.dumps(value)}")]


def _changed(config: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the settings that are not the default, by their dotted names."""
    found: list[tuple[str, Any]] = []
    for key, value in config.items():
        if isinstance(value, Mapping) and key in defaults and defaults[key]:
            found += _changed(value, defaults[key], f"{prefix}{key}.")
        elif value != defaults.get(key):
            found.append((f"{prefix}{key}", value))
    return found


def _digests(out: Path, sources: Sequence[Path], config: Mapping[str, Any]) -> str:
    lines = [("settings", digest_text(json.dumps(config, sort_keys=True))[:16])]
    for source in sources:
        tables = [source] if source.is_file() else [source / name for name in TABLES if (source / name).is_file()]
        lines += [(str(table), digest_file(table)[:16]) for table in tables]
    lines.append(("manifest.csv", digest_file(out / "manifest.csv")[:16]))
    return _table(("what", "SHA-256, first 16 digits"), lines)
