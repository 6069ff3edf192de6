"""Asking a model under a budget of calls, each (image, question) once, answers kept on disk."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from drivelet.core.artifacts import ImageArray, Question
from drivelet.core.identity import identify_path
from drivelet.core.ports import VisionLanguageModel
from drivelet.core.progress import track
from drivelet.core.tables import chunked

FLUSH = 32
Request = tuple[str, Question]
"""An image path and a question about it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model said: its greedy answer and the probability of every choice."""

    answer: str
    probs: Mapping[str, float]


class Asker:
    """A model, its memory and its budget.

    A call is one question about one image. The budget counts each distinct call once, whether its answer is new or
    remembered from an interrupted run, so an interrupted search ends as an uninterrupted one does.
    """

    def __init__(
        self, model: VisionLanguageModel, read_image: Callable[[str], ImageArray], cache: Path, *, budget: int
    ) -> None:
        self._model = model
        self._read_image = read_image
        self._cache = cache
        self._budget = budget
        self._known = _read(cache)
        self._spent: set[str] = set()

    @property
    def calls(self) -> int:
        """Distinct calls so far."""
        return len(self._spent)

    def affordable(self, requests: Sequence[Request]) -> bool:
        """Return whether the budget covers these requests."""
        return len(self._spent | {self._key(*request) for request in requests}) <= self._budget

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Return one answer a request, in order; all open questions about an image go to the model together."""
        keys = [self._key(*request) for request in requests]
        self._spent.update(keys)
        open_calls: dict[str, dict[str, Question]] = defaultdict(dict)
        for key, (path, question) in zip(keys, requests, strict=True):
            if key not in self._known:
                open_calls[path][key] = question
        for chunk in chunked(track(open_calls.items(), total=len(open_calls), what="asking"), FLUSH):
            fresh: dict[str, Answer] = {}
            for path, questions in chunk:
                scored = self._model.score(self._read_image(path), list(questions.values()))
                answers = (Answer(answer=one.answer, probs=dict(one.probs)) for one in scored)
                fresh.update(zip(questions, answers, strict=True))
            self._remember(fresh)
        return [self._known[key] for key in keys]

    def _key(self, path: str, question: Question) -> str:
        content = "\x1f".join([self._model.name, path, identify_path(Path(path)), question.text, *question.choices])
        return blake2b(content.encode(), digest_size=12).hexdigest()

    def _remember(self, fresh: Mapping[str, Answer]) -> None:
        with self._cache.open("a", encoding="utf-8") as stream:
            for key, one in fresh.items():
                stream.write(json.dumps({"key": key, "answer": one.answer, "probs": one.probs}) + "\n")
        self._known.update(fresh)


def _read(cache: Path) -> dict[str, Answer]:
    """Read the memory back; a last line that a crash cut short is dropped."""
    if not cache.is_file():
        return {}
    text = cache.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        cache.write_text(whole, encoding="utf-8")
    records = (json.loads(line) for line in whole.splitlines())
    return {r["key"]: Answer(answer=r["answer"], probs=r["probs"]) for r in records}
