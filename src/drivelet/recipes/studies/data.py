"""Study `data`: do painted and rendered images help on real ones, at equal steps, and where?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as default
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.adapters.painter_lora import LoraConfig
from drivelet.core import flow
from drivelet.core.errors import InputError
from drivelet.core.manifest import read_manifest
from drivelet.core.ports import Executor
from drivelet.core.progress import say
from drivelet.core.ranges import Name, Seeds, Several, ranged
from drivelet.core.rng import derive_seed
from drivelet.dataset.mix import MixConfig, mix
from drivelet.distil.soft_labels import SoftLabelConfig
from drivelet.distil.train import DistilConfig, distil
from drivelet.drives.frames import frames_at
from drivelet.recipes import making, painting, steps
from drivelet.recipes.domain_gap import GAP, DomainGapConfig, gap_of, measure_gap
from drivelet.recipes.settings import mini
from drivelet.recipes.studies.data_arms import (
    ARMS,
    FEW_SHARE,
    PAINT,
    Arm,
    arm_labels,
    few_real,
    scenes_of,
    source_of,
    stand_in,
)
from drivelet.recipes.studies.data_results import FULL, Test, outcome, write_outcome
from drivelet.synth.domain import DomainConfig, world
from drivelet.synth.driving.drive_sim import DriveConfig, render_drives
from drivelet.synth.painting.paint import PaintConfig
from drivelet.synth.render import RenderConfig, render_frames
from drivelet.vlm.load import resolve, set_threads
from drivelet.vlm.lora import LANGUAGE, VISION, LoraSettings

OTHER = DomainConfig(
    name="stand-in",
    light={"day": 0.35, "dusk": 0.25, "night": 0.4},
    weather={"clear": 0.3, "overcast": 0.3, "fog": 0.1, "rain": 0.3},
    region={"us": 1.0},
)


@dataclass(frozen=True, kw_only=True)
@ranged
class DataConfig:
    """Settings of the study.

    Attributes:
        teacher: labels no image here; it chooses among the answers of a coarse label, judges the painter's pictures
            where the painter brings no judge, and its eye measures the domain gap.
        student: what every arm trains; `painter` what paints.
        drives: simulated drives of another domain that stand in for real images where none are given.
        world: training renders; `test` the synthetic test; `paint` the text-to-image loop.
        mix: cleaning; all that is left is used.
        train: of every arm, on hard labels alone; one arm gets twice the steps.
        seeds: trainings of every arm.
        domain_gap: how real and rendered images are compared.
        resamples: of the tests' groups, for the intervals.
    """

    teacher: Name = default(default_factory=lambda: mini("teacher-mini"))
    student: Name = default(default_factory=lambda: mini("student-mini"))
    painter: Name = default(default_factory=lambda: mini("painter-mini"))
    drives: DriveConfig = default(
        default_factory=lambda: DriveConfig(
            num_drives=40, seed=41, seconds=6.0, hz=2, workers=2, domain=OTHER, val=0.0, test=0.4
        )
    )
    world: RenderConfig = default(
        default_factory=lambda: RenderConfig(num_frames=900, seed=42, workers=2, domain=world(), val=0.0, test=0.0)
    )
    test: RenderConfig = default(
        default_factory=lambda: RenderConfig(num_frames=400, seed=43, workers=2, domain=world(), val=0.0, test=1.0)
    )
    paint: PaintConfig = default(
        default_factory=lambda: PaintConfig(
            rounds=2, prompts_per_round=160, held_out_prompts=32, lora=LoraConfig(steps=40, learning_rate=3e-4)
        )
    )
    mix: MixConfig = default(default_factory=lambda: MixConfig(real_share=None, val_share=0.0))
    soft_labels: SoftLabelConfig = default(default_factory=SoftLabelConfig)
    train: DistilConfig = default(
        default_factory=lambda: DistilConfig(
            alpha=0.0,
            steps=650,
            images_per_step=12,
            learning_rate=1.2e-3,
            lora=LoraSettings(rank=32, alpha=64.0, targets=(LANGUAGE, VISION)),
        )
    )
    seeds: Seeds = (0, 1, 2)
    domain_gap: DomainGapConfig = default(default_factory=DomainGapConfig)
    resamples: Several = 1000


@dataclass(frozen=True)
class _Study:
    """One study: its configuration, the user's images, and the store of its stages."""

    config: DataConfig
    images: Sequence[Path]
    store: Path
    executor: Executor

    def stage(
        self, function: Any, config: Any, name: str, context: Any = None, also: Any = None, **inputs: Any
    ) -> Path:
        return flow.run(function, config, store=self.store, inputs=inputs, also=also, context=context, name=name)

    @cached_property
    def real(self) -> Path:
        """The folder with `train.csv` and `test.csv`."""
        if self.images:
            return self.stage(steps.split_real, {}, "images", images=list(self.images))
        drives = self.stage(render_drives, self.config.drives, "drives", steps.GOLD, steps.GOLD_VERSION)
        return self.stage(stand_in, {}, "stand_in", drives=drives / "manifest.csv")

    @cached_property
    def world(self) -> Path:
        return self.stage(render_frames, self.config.world, "world", steps.GOLD, steps.GOLD_VERSION)

    @cached_property
    def tests(self) -> dict[str, Path]:
        """The two tests by name: every arm is measured on both."""
        rendered = self.stage(render_frames, self.config.test, "test", steps.GOLD, steps.GOLD_VERSION)
        return {"real": self.real / "test.csv", "synthetic": rendered / "manifest.csv"}

    @cached_property
    def mixed(self) -> Path:
        """The manifest of all sources, cleaned together, so that every arm sees the same rows of a source."""
        painted = self.stage(
            painting.paint_pictures, self.config.paint, "paint", painter=Path(self.config.painter),
            world=self.world, teacher=resolve(self.config.teacher),
        )  # fmt: skip
        kept = any(each["kept"] for each in flow.read_json(painted / "rounds.json")["rounds"])
        sources = [self.real / "train.csv", self.real / "test.csv", self.world, *([painted] if kept else [])]
        context = {"fields": tasks.fields(), "read_frames": frames_at}
        return self.stage(mix, self.config.mix, "mix", context, sources=sources) / "manifest.csv"

    @cached_property
    def few(self) -> Path:
        """The mix with a share of the real training images."""
        return self.stage(few_real, FEW_SHARE, "few_real", manifest=self.mixed) / "manifest.csv"

    @cached_property
    def counts(self) -> dict[str, int]:
        """Training images by source."""
        rows = read_manifest(self.mixed, tasks=tasks.fields())
        sources = {row.path: source_of(row) for row in rows if row.split == "train"}
        return {name: list(sources.values()).count(name) for name in dict.fromkeys(sources.values())}

    @cached_property
    def arms(self) -> list[Arm]:
        """The arms whose sources are there."""
        if not self.counts.get(PAINT):
            say("not one painted picture is left: the arm `real + T2I` falls away", style="yellow")
        return [arm for arm in ARMS if arm.name == "all" or all(self.counts.get(name) for name in arm.sources)]

    def models(self) -> list[tuple[Arm, int, Path]]:
        """Train every arm with every seed; return (arm, seed, model)."""
        asked = {"teacher": resolve(self.config.teacher), "manifest": self.mixed, "prompts": None}
        labels = self.stage(making.soft_label_rows, self.config.soft_labels, "soft_labels", **asked)
        jobs, runs = [], []
        for arm in self.arms:
            rows = self.few if arm.few else self.mixed
            part = self.stage(arm_labels, list(arm.sources), "arm", soft_labels=labels, manifest=rows)
            for seed in self.config.seeds:
                training = replace(
                    self.config.train, steps=arm.steps * self.config.train.steps,
                    epochs=arm.steps * self.config.train.epochs, seed=derive_seed(seed, "data") % 2**31,
                )  # fmt: skip
                jobs.append((training, {"student": resolve(self.config.student), "soft_labels": part}))
                runs.append((arm, seed))
        trained = self.executor.map(partial(_train, self.store), jobs)
        return [(arm, seed, model) for (arm, seed), model in zip(runs, trained, strict=True)]

    def measured(self) -> list[tuple[Arm, int, str, Path]]:
        """Measure every model on both tests; return (arm, seed, test, folder of its predictions)."""
        runs = [(arm, seed, test, model) for arm, seed, model in self.models() for test in self.tests]
        jobs = [{"model": model, "manifest": self.tests[test]} for _, _, test, model in runs]
        folders = self.executor.map(partial(_measure, self.store), jobs)
        return [(*run[:3], folder) for run, folder in zip(runs, folders, strict=True)]

    def gap(self) -> dict[str, Any]:
        """What separates the real training images from the renders."""
        folder = self.stage(
            measure_gap, self.config.domain_gap, "domain_gap", real=self.real / "train.csv",
            synthetic=self.world / "manifest.csv", embedder=resolve(self.config.teacher),
        )  # fmt: skip
        return flow.read_json(folder / GAP)


def _train(store: Path, job: tuple[DistilConfig, Mapping[str, Path]]) -> Path:
    set_threads()
    config, inputs = job
    return flow.run(distil, config, store=store, inputs=inputs, name="train") / "model"


def _measure(store: Path, inputs: Mapping[str, Path]) -> Path:
    set_threads()
    return flow.run(steps.answer_rows, {}, store=store, inputs=inputs, name="measure")


def data(config: DataConfig, *, images: Sequence[Path], out: Path, executor: Executor) -> Path:
    """Run the study; write `study.json` and return its path. Renders, labels and models are kept in `out/stages`.

    Args:
        config: what is made, trained and measured.
        images: manifests of real images, of which train rows train and val and test rows test; without them simulated
            drives of another domain stand in for real ones, and the study says so.
        out: gets the study's files.
        executor: trains and measures side by side.

    Raises:
        InputError: a manifest lacks rows to train or to test on, or there is no seed.
    """
    if not config.seeds:
        raise InputError("study data: no seed; set seeds to one number or more")
    study = _Study(config, [path.absolute() for path in images], out.absolute() / "stages", executor)
    study.real  # noqa: B018 - before anything is rendered: a damaged manifest is refused at once
    measured = study.measured()
    loaded = {name: read_manifest(manifest, tasks=tasks.fields()) for name, manifest in study.tests.items()}
    tests = {name: Test(rows=rows, scenes=scenes_of(rows)) for name, rows in loaded.items()}
    found = outcome(study.arms, measured, tests, resamples=config.resamples)
    gap = study.gap()
    last = {test: folder for arm, seed, test, folder in measured if (arm.name, seed) == (FULL, config.seeds[0])}
    places = {test: (manifest, last[test]) for test, manifest in study.tests.items()}
    accuracy, alarms = gap_of(config.domain_gap, model=FULL, measured=places, gap=gap)
    facts: dict[str, Any] = {
        "real": "images" if images else "stand-in: simulated drives of another domain",
        "steps": config.train.steps,
        "seeds": list(config.seeds),
        "images": study.counts,
        "test_images": {name: len({row.path for row in test.rows}) for name, test in tests.items()},
        "domain_gap": {"accuracy": accuracy, **gap},
        "alarms": alarms,
    }
    return write_outcome(found, facts, out=out)
