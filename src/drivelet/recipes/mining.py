"""Mining: find frames by example, by text or by hardness, choose under a budget, and hand them to people."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.core.images import read_image
from drivelet.core.outputs import described, locked
from drivelet.core.outside import check_file
from drivelet.core.ports import Embedder
from drivelet.core.progress import say
from drivelet.core.ranges import Amount, Positive, Share, ranged
from drivelet.mining.embed import EmbedConfig, Key, content_keys, embed_frames, read_vectors
from drivelet.mining.evidence import Evidence
from drivelet.mining.hard import HardConfig, Hardness, frame_scores, hardness, why
from drivelet.mining.match import explain, match
from drivelet.mining.query import CHANNELS, leaves, parse
from drivelet.mining.search import Hit, VectorSearch, apart, ranked
from drivelet.mining.select import SelectConfig, select
from drivelet.mining.write import Mined, write_mined
from drivelet.recipes.mining_sources import Stock, position_of, read_any, read_stock
from drivelet.recipes.settings import apply_settings, mini

OVERFETCH = 20
"""Rows asked of the index for every frame wanted: neighbours in time fall out."""
OPEN = "no more fit, or they lie within --set apart_s seconds of these"
FULL = "every scene is full; raise --set select.per_scene"


@dataclass(frozen=True, kw_only=True)
@ranged
class MineConfig:
    """Settings of `mine`.

    Attributes:
        hz: frames a second of drives that are ingested and not labelled.
        apart_s: two hits of one drive lie at least this many seconds apart.
        least: a hit of a text query has at least this probability.
        embed: the vector table.
        hard: what makes a case hard.
        select: the selection under a budget.
    """

    hz: Positive = 5.0
    apart_s: Amount = 5.0
    least: Share = 0.05
    embed: EmbedConfig = default(default_factory=EmbedConfig)
    hard: HardConfig = default(default_factory=HardConfig)
    select: SelectConfig = default(default_factory=SelectConfig)


def open_embedder(reference: str | None) -> Embedder:
    """Load what turns frames into vectors: a vision-language model, or a dual encoder of pictures and text.

    Raises:
        InputError: the folder holds neither.
    """
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    from drivelet.adapters.dual_encoder import DualEncoder
    from drivelet.core.model_folder import told
    from drivelet.vlm.embed import VisionEmbedder
    from drivelet.vlm.load import resolve

    path = resolve(reference or mini("teacher-mini"))
    with told(path, "no config.json that transformers can read; give a model folder"):
        kind = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False).model_type
    chats = kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    return VisionEmbedder.from_pretrained(path) if chats else DualEncoder(path)


class _Search:
    """One call of `mine`: its frames, and their vectors once something asks for them."""

    def __init__(self, config: MineConfig, stock: Stock, *, embedder: str | None, index: Path) -> None:
        self.config = config
        self.stock = stock
        self._reference = embedder
        self._index = index
        self._embedder: Embedder | None = None
        self._table: Path | None = None
        self._keys: list[Key] = []

    @property
    def embedder(self) -> Embedder:
        if self._embedder is None:
            self._embedder = open_embedder(self._reference)
        return self._embedder

    @property
    def table(self) -> tuple[Path, list[Key]]:
        if self._table is None:
            self._keys = content_keys(self.stock.frames)
            self._table = embed_frames(
                self.config.embed, frames=self.stock.frames, keys=self._keys, embedder=self.embedder,
                read_frames=read_any, folder=self._index,
            )  # fmt: skip
        return self._table, self._keys

    def close_to(self, vector_D: NDArray[np.float32], budget: int, what: str) -> list[Hit]:
        """Return the nearest frames that lie apart in time."""
        table, keys = self.table
        found = dict(VectorSearch(table, keys).nearest(vector_D, k=min(OVERFETCH * budget, len(keys))))
        kept = apart(found, self.stock.frames, seconds=self.config.apart_s, most=budget)
        return [Hit(position=p, score=found[p], why=f"cosine {found[p]:.3f} to {what}") for p in kept]

    def like(self, example: str, budget: int) -> list[Hit]:
        """Search by an image file or by `DRIVE:FRAME`."""
        position = None if Path(example).is_file() else position_of(example, self.stock.frames)
        if position is None:
            check_file(Path(example), remedy="give --like an image file, or DRIVE:FRAME of a frame that is mined")
            return self.close_to(self.embedder.embed_images([read_image(example)])[0], budget, Path(example).name)
        table, keys = self.table
        vector_D = read_vectors(table, [keys[position]])[0][0]
        if np.isnan(vector_D).any():
            raise InputError(f"--like {example}: that frame cannot be read; choose another")
        return self.close_to(vector_D, budget, example)

    def matching(self, text: str, budget: int) -> list[Hit]:
        """Search by text: free where the embedder takes text, a query over answers and sensors where it does not."""
        if self._reference is not None and self.embedder.embed_texts is not None:
            return self.close_to(self.embedder.embed_texts([text])[0], budget, repr(text))
        query = parse(text, tasks.fields())
        named = {getattr(leaf, "channel", "") for leaf in leaves(query)}
        channels = self.channels(with_luma="luma" in named)
        scores_N = match(query, evidence=self.stock.evidence, channels=channels)
        hits = ranked(scores_N, least=self.config.least)
        kept = apart(hits, self.stock.frames, seconds=self.config.apart_s, most=budget)
        say(f"{query}: {len(hits)} frames fit with at least {self.config.least:g}")
        return [
            Hit(position=p, score=float(scores_N[p]), why=explain(query, p, self.stock.evidence, channels))
            for p in kept
        ]  # fmt: skip

    def channels(self, *, with_luma: bool) -> Mapping[str, NDArray[np.float64]]:
        frames = self.stock.frames
        own = {name: np.array([getattr(f, name) for f in frames], float) for name in CHANNELS if name != "luma"}
        return {**own, "luma": read_vectors(*self.table)[1]} if with_luma else own

    def chosen(self, budget: int, *, by_hardness: bool) -> list[Hit]:
        """Select frames that cover the rest, weighted by how hard they are or all alike."""
        frames, evidence = self.stock.frames, self.stock.evidence
        scored = _hard(self.config.hard, evidence) if by_hardness else None
        weights_N, words = scored or (np.ones(len(frames)), lambda _: "stands for frames like it")
        vectors_ND = read_vectors(*self.table)[0]
        picks = select(
            self.config.select,
            vectors_ND=vectors_ND,
            weights_N=weights_N,
            frames=frames,
            answers=shown(evidence),
            budget=budget,
        )
        return [
            Hit(
                position=pick.position,
                score=float(weights_N[pick.position]) if by_hardness else pick.gain,
                why=words(pick.position) + (f"; chosen for the rare {pick.rare}" if pick.rare else ""),
            )
            for pick in picks
        ]


def _hard(config: HardConfig, evidence: Mapping[str, Evidence]) -> tuple[NDArray[np.float64], Callable[[int], str]]:
    voted = {name: seen for name, seen in evidence.items() if seen.labelers}
    if not voted:
        raise InputError("--hard: no drive here is labelled; run `drivelet label` and give its folder")
    hard: dict[str, Hardness] = {name: hardness(config, seen) for name, seen in voted.items()}
    scores_N, names = frame_scores(hard)
    return scores_N, lambda place: why(names[place], voted[names[place]], hard[names[place]], place)


def shown(evidence: Mapping[str, Evidence]) -> dict[str, NDArray[np.bool_]]:
    """Return for every `field=answer` the frames that likely show it."""
    return {f"{name}={a}": mask for name, seen in evidence.items() for a, mask in seen.told().items() if mask.any()}


def mine_command(
    sources: Sequence[Path],
    *,
    out: Path,
    like: str | None,
    text: str | None,
    hard: bool,
    budget: int,
    embedder: str | None,
    index: Path | None,
    settings: Sequence[str],
) -> None:
    """Find frames, write them to `out`, and print what was found and what to do next.

    Raises:
        InputError: as its parts do, or two ways of searching at once, or nothing found.
    """
    from drivelet.vlm.load import set_threads

    config = apply_settings(MineConfig(), settings)
    if sum((like is not None, text is not None, hard)) > 1:
        raise InputError("mine: --like, --text and --hard are three ways; give one of them")
    set_threads()
    stock = read_stock(sources, hz=config.hz, specs=tasks.fields())
    search = _Search(config, stock, embedder=embedder, index=index or out / "index")
    if like is not None:
        hits = search.like(like, budget)
    elif text is not None:
        hits = search.matching(text, budget)
    else:
        hits = search.chosen(budget, by_hardness=hard)
    if not hits:
        raise InputError(f"mine: none of {len(stock.frames)} frames fits; ask for less, or lower --set least")
    if len(hits) < min(budget, len(stock.frames)):
        say(f"{len(hits)} found of {budget} asked for: " + (OPEN if like or text else FULL))
    given = {"sources": list(sources), "like": like, "text": text, "hard": hard, "budget": budget, "embedder": embedder}
    with locked(out), described(out, config=config, inputs=given):
        manifest = write_mined([_mined(hit, stock) for hit in hits], read_frames=read_any, out=out)
    _print(hits, stock, manifest)


def _mined(hit: Hit, stock: Stock) -> Mined:
    frame = stock.frames[hit.position]
    names = tuple(tasks.fields())
    row = stock.rows.get(frame.file, [None])[0]
    if row is None:
        source = f"drive:{Path(frame.file).name}:{frame.frame}"
        return Mined(frame=frame, score=hit.score, why=hit.why, fields=names, source=source)
    return Mined(frame=frame, score=hit.score, why=hit.why, fields=names, split=row.split or "train", source=row.source)


def _print(hits: Sequence[Hit], stock: Stock, manifest: Path) -> None:
    found = [stock.frames[hit.position] for hit in hits]
    table = Table(title=f"{len(hits)} of {len(stock.frames)} frames, drives: {len({f.drive for f in found})}")
    for name in ("answer", "frames", "found"):
        table.add_column(name, justify="left" if name == "answer" else "right")
    places = [hit.position for hit in hits]
    for answer, mask in sorted(shown(stock.evidence).items(), key=lambda item: int(item[1].sum())):
        table.add_row(answer, str(int(mask.sum())), str(int(mask[places].sum())))
    if not stock.evidence:
        for drive, count in Counter(frame.drive for frame in found).most_common():
            table.add_row(Text(f"drive {drive}"), str(sum(f.drive == drive for f in stock.frames)), str(count))
    Console(width=100).print(table)
    for hit in hits[:5]:
        click.echo(f"{stock.frames[hit.position].drive}:{stock.frames[hit.position].frame} {hit.score:.3f} {hit.why}")
    click.echo(f"Next: look at {manifest.parent / 'mined'}, fill in the column `label` of {manifest} and give it to")
    click.echo(
        f"`drivelet mix {manifest} ...`; or ask a model first: `drivelet predict MODEL {manifest} --out preds.jsonl`."
    )
