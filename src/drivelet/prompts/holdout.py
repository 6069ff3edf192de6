"""The test split, touched once: what the chosen prompts are worth on frames that no choice has seen."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from drivelet.core.artifacts import Field, ImageArray, Prompt
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.core.ports import VisionLanguageModel
from drivelet.core.stats import mcnemar
from drivelet.prompts.ask import Answer, Asker
from drivelet.prompts.gap import is_right
from drivelet.prompts.library import base_entries, load_library, render_question

FILE = "test.json"


def report_on_test(
    *,
    model: VisionLanguageModel,
    prompts: Path,
    library: Sequence[Prompt],
    fields: Mapping[str, Field],
    test: Sequence[Row],
    read_image: Callable[[str], ImageArray],
) -> Path:
    """Score start and chosen prompts on the test split, once: write `prompts/test.json` and refuse to do so again.

    Returns:
        The path of `test.json`: for each field accuracy before and after, and McNemar's p.

    Raises:
        InputError: the folder has been scored on test before, or there is no test row.
    """
    target = prompts / FILE
    if target.is_file():
        raise InputError(f"{target}: the test split was used already; read that file, or optimise into a new folder")
    if not test:
        raise InputError("prompts: the data has no test rows; add some to report on")
    chosen = base_entries(load_library(prompts, fields), fields)
    start = base_entries(library, fields)
    asker = Asker(model, read_image, prompts / "test_calls.jsonl", budget=2 * len(test))
    right: dict[str, dict[str, list[bool]]] = {}
    for title, entries in (("before", start), ("after", chosen)):
        requests = [(row.path, render_question(entries[row.task], fields[row.task], row.sensor)) for row in test]
        answers: list[Answer] = asker.ask(requests)
        for row, answer in zip(test, answers, strict=True):
            lists = right.setdefault(row.task, {"before": [], "after": []})
            lists[title].append(is_right(row, answer, fields[row.task]))
    body = {
        name: {
            "n": len(lists["before"]),
            "before": sum(lists["before"]) / len(lists["before"]),
            "after": sum(lists["after"]) / len(lists["after"]),
            "p": mcnemar(lists["before"], lists["after"]),
        }
        for name, lists in right.items()
    }
    target.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return target
