"""Teachers of the label stage: models, chat endpoints and open-vocabulary detectors, each a labeler of its own."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from drivelet import tasks
from drivelet.adapters.chat_settings import Asking, Endpoint, Limits
from drivelet.adapters.detectors import DetectorConfig, load_detector
from drivelet.adapters.openai_chat import ChatModel
from drivelet.core.artifacts import ImageArray
from drivelet.core.errors import InputError
from drivelet.core.ports import Labeler, VisionLanguageModel
from drivelet.core.progress import say
from drivelet.core.ranges import ranged
from drivelet.core.tables import chunked
from drivelet.labels.boxes import BoxLabeler
from drivelet.labels.vlm import VlmLabeler
from drivelet.runtime.engine import Engine

T = TypeVar("T")

FAMILY = "vlm"
SCHEME = "openai:"
DETECTOR = "detector:"
GROUP = 32
"""Images that endpoints are asked about at once: enough to keep all requests busy, few enough to hold."""


class Teacher(NamedTuple):
    """A teacher and its family. A tuple: in a stage's key a folder stands with its content, an endpoint with how it is
    asked."""

    where: Path | Endpoint
    family: str = FAMILY
    detector: bool = False


@dataclass(frozen=True, kw_only=True)
@ranged
class Remote:
    """Settings of all endpoints of a command: how they are asked, and what that may take."""

    endpoint: Asking = field(default_factory=Asking)
    limits: Limits = field(default_factory=Limits)


def read_teacher(text: str, asking: Asking) -> Teacher:
    """Read `FOLDER`, `HUB/ID`, `openai:MODEL@http://HOST:PORT/v1` or `detector:FOLDER`, each with or without `#FAMILY`.

    Raises:
        InputError: it is none of these.
    """
    from drivelet.vlm.load import resolve

    if Path(text).is_dir():
        return Teacher(Path(text))
    place, _, family = text.partition("#")
    if place.startswith(DETECTOR):
        return Teacher(resolve(place.removeprefix(DETECTOR)), family or "detector", detector=True)
    where = _endpoint(place, asking) if place.startswith(SCHEME) else resolve(place)
    return Teacher(where, family or FAMILY)


def _endpoint(text: str, asking: Asking) -> Endpoint:
    model, _, rest = text.removeprefix(SCHEME).partition("@http")
    address = urlsplit(f"http{rest}")
    if "@" in address.netloc or address.query:
        raise InputError("--teacher: the address holds a user name, password or query; give the key in the environment")
    if (
        not model
        or address.scheme not in ("http", "https")
        or not address.hostname
        or not _has_good_port(address.netloc)
    ):
        raise InputError(f"--teacher {text}: write it as openai:MODEL@http://HOST:PORT/v1")
    return Endpoint(model=model, base_url=address.geturl().rstrip("/"), asking=asking)


def _has_good_port(netloc: str) -> bool:
    try:
        return urlsplit(f"//{netloc}").port != 0
    except ValueError:
        return False


@contextmanager
def open_teachers(teachers: Sequence[Teacher], *, limits: Limits, answers: Path) -> Iterator[list[Labeler]]:
    """Load folders, connect to endpoints, and give a labeler for each, in order; say at the end what endpoints took.

    Raises:
        InputError: one was given twice, or cannot be loaded.
    """
    with ExitStack() as stack:
        yield [
            _labeler(teacher, name, stack, limits, answers)
            for teacher, name in zip(teachers, _names(teachers), strict=True)
        ]


def _labeler(teacher: Teacher, name: str, stack: ExitStack, limits: Limits, answers: Path) -> Labeler:
    where, family, is_detector = teacher
    fields = tasks.fields()
    if isinstance(where, Endpoint):
        model: VisionLanguageModel = ChatModel(where, answers=answers, limits=limits)
        stack.callback(_leave, model)
    elif is_detector:
        return BoxLabeler(load_detector(where, DetectorConfig()), fields, name=name, family=family)
    else:
        model = Engine.from_pretrained(where)
    return VlmLabeler(model, list(fields.values()), name=name, family=family)


def _leave(model: ChatModel) -> None:
    price = f", {model.spent:.6g} spent in all" if model.spent else ""
    say(f"{model.name}: {model.asked} requests answered, {model.invalid} answers outside their set{price}")
    model.close()


def _names(teachers: Sequence[Teacher]) -> list[str]:
    """A folder's own name, or its whole path where two folders share a name: votes and maps are filed under it."""
    short = [teacher.where.name for teacher in teachers]
    count = Counter(short)
    names = [name if count[name] == 1 else _whole(t.where) for t, name in zip(teachers, short, strict=True)]
    for name, times in Counter(names).items():
        if times > 1:
            raise InputError(f"--teacher: {name} is given twice; give each teacher once")
    return names


def _whole(where: Path | Endpoint) -> str:
    return str(where) if isinstance(where, Path) else f"{where.model}@{where.base_url}"


def ahead(images: Iterable[tuple[T, ImageArray]], speakers: Sequence[Labeler]) -> Iterator[tuple[T, ImageArray]]:
    """Yield (anything, image) pairs; endpoints are asked about a group of images at once before it is handed on."""
    many = [speaker for speaker in speakers if isinstance(speaker, VlmLabeler) and speaker.asks_many]
    if not many:
        yield from images
        return
    for group in chunked(images, GROUP):
        for speaker in many:
            speaker.prepare([image for _, image in group])
            if isinstance(speaker.model, ChatModel):
                # Before anything is made of them: labels from the other labelers alone would look like any others.
                speaker.model.check_replies()
        yield from group
