"""`drivelet mix`: the mix with its checks by models, the search for its ratio, and its exports."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from drivelet import tasks
from drivelet.core.damage import LeftOut, readable_rows
from drivelet.core.errors import InputError
from drivelet.core.flow import write_json
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.outputs import command
from drivelet.core.progress import say, track
from drivelet.dataset.export import export
from drivelet.dataset.label_errors import Answers
from drivelet.dataset.looks import UNREADABLE
from drivelet.dataset.mix import Embed, MixConfig, mix
from drivelet.dataset.search import trial_records
from drivelet.drives.frames import frames_at
from drivelet.prompts.library import canonical, render_question
from drivelet.recipes.mix_search import MixSearchConfig, search_ratio
from drivelet.recipes.settings import apply_settings
from drivelet.report.tables import records_table, rich_table

PREFIX = "search."


def mix_command(
    sources: Sequence[Path],
    *,
    out: Path,
    exports: Sequence[str],
    embedder: str | None,
    teacher: str | None,
    search: bool,
    settings: Sequence[str],
    strict: bool = False,
) -> list[Path]:
    """Mix, search the ratio first where asked to, export; return what was written, the manifest last.

    Args:
        sources: manifests, labelled drives, render and paint folders.
        out: folder of the mix; exports lie in `out/FORM`, the search in `out/search` and `out/search.json`.
        exports: names of forms.
        embedder: finds near-duplicates by embedding.
        teacher: checks the labels of real images; it must not have been trained on them.
        search: whether to look for the best shares of the sources.
        strict: an image of a manifest that cannot be read is an error; else it is left out, with its reason.
        settings: of `MixConfig`, and with `search.` before them of `MixSearchConfig`.

    Raises:
        InputError: as `mix`; with `search`, where there are no val rows or only one source.
    """
    from drivelet.vlm.load import resolve

    config = apply_settings(MixConfig(), [s for s in settings if not s.startswith(PREFIX)])
    searching = apply_settings(MixSearchConfig(), [s.removeprefix(PREFIX) for s in settings if s.startswith(PREFIX)])
    if not search and any(setting.startswith(PREFIX) for setting in settings):
        raise InputError("mix: settings of the search without a search; add --search")
    if strict:
        _refuse_damaged(sources)
    named = {"--embedder": embedder, "--teacher": teacher}
    run = MixRun(
        sources=sources,
        helpers={name: resolve(value) for name, value in named.items() if value},
        embed=_embedding(embedder) if embedder else None,
        ask=asking(teacher) if teacher else None,
        options=[word for option, value in named.items() if value for word in (option, value)],
    )
    if search:
        pool = run(replace(config, real_share=None, shares={}, max_images=None), out / "search" / "pool")
        found = search_ratio(searching, pool=pool, max_images=config.max_images, seed=config.seed, out=out / "search")
        records = trial_records(found)
        write_json(out / "search.json", {"best": found.best, "trials": records})
        Console(width=120).print(rich_table(records_table(records), title="Mixes by their score on val rows"))
        config = replace(config, shares={name: share for name, share in found.best.items() if share > 0})
        say(f"mix: {', '.join(f'{name} {share:.0%}' for name, share in config.shares.items())}")
    manifest = run(config, out)
    _name_unreadable(out / "rejections.csv")
    return [*(export(name, manifest, tasks.fields(), out / name) for name in exports), manifest]


def _refuse_damaged(sources: Sequence[Path]) -> None:
    for source in sources:
        manifest = source / "manifest.csv" if source.is_dir() else source
        if manifest.is_file():
            readable_rows(read_manifest(manifest, tasks=tasks.fields()), strict=True, where=manifest)


def _name_unreadable(rejections: Path) -> None:
    with rejections.open(newline="", encoding="utf-8") as stream:
        lost = [row["path"] for row in csv.DictReader(stream) if row["reason"] == UNREADABLE.flaw]
    left_out = LeftOut()
    for path in dict.fromkeys(lost):
        left_out.note(f"{path}: no readable image")
    if lost:
        say(f"mix: {left_out.count} images cannot be read; {len(lost)} rows are left out, see {rejections}")


class MixRun:
    """The sources and helpers of a mix, ready for one configuration after the other."""

    def __init__(
        self,
        *,
        sources: Sequence[Path],
        helpers: Mapping[str, Path],
        embed: Embed | None,
        ask: Callable[[Sequence[Row]], Answers] | None,
        options: Sequence[str],
    ) -> None:
        self._inputs = {"sources": list(sources)}
        self._also = {"helpers": helpers, "given": [str(path) for path in sources]}
        self._context = {
            "fields": tasks.fields(), "read_frames": frames_at, "embed": embed, "ask": ask, "options": options,
        }  # fmt: skip

    def __call__(self, config: MixConfig, out: Path) -> Path:
        """Mix into `out`; return the manifest."""
        command(mix, config, out=out, inputs=self._inputs, also=self._also, context=self._context)
        return out / "manifest.csv"


def _embedding(model: str) -> Embed:
    from drivelet.vlm.embed import VisionEmbedder

    return VisionEmbedder.from_pretrained(model).embed_images


def asking(model: str) -> Callable[[Sequence[Row]], Answers]:
    """Return what asks a model the canonical question of every row; its probabilities are those of `predict`."""
    from drivelet.runtime.engine import Engine

    fields = tasks.fields()
    prompts = {prompt.field: prompt for prompt in canonical(fields)}

    def ask(rows: Sequence[Row]) -> Answers:
        engine = Engine.from_pretrained(model)
        return {
            (path, scored.field): scored.probs
            for path, of_image in track(_by_image(rows), total=len({r.path for r in rows}), what="labels checked")
            for scored in engine.score(
                read_image(path), [render_question(prompts[r.task], fields[r.task], r.sensor) for r in of_image]
            )
        }

    return ask


def _by_image(rows: Sequence[Row]) -> Iterable[tuple[str, list[Row]]]:
    images: dict[str, list[Row]] = {}
    for row in rows:
        images.setdefault(row.path, []).append(row)
    return images.items()
