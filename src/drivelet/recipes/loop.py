"""The whole loop in its order: world, adapted teacher, labels, paint, mix, prompts, distillation, AWQ, measurement."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from drivelet import tasks
from drivelet.core import flow
from drivelet.core.artifacts import Field
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row
from drivelet.core.outputs import STAGES, described
from drivelet.core.ports import Executor
from drivelet.core.progress import say
from drivelet.core.rng import derive_seed
from drivelet.drives.discover import discover
from drivelet.recipes import labelling, making, painting, steps
from drivelet.recipes.config import LoopConfig
from drivelet.recipes.results import Measured, write_results
from drivelet.recipes.second_teacher import pool_teachers, read_signs
from drivelet.recipes.speed import speeds


@dataclass(frozen=True)
class Loop:
    """One run: its configuration, what the user brought, and the folder of its stages."""

    config: LoopConfig
    drives: Sequence[Path]
    images: Sequence[Path]
    out: Path
    executor: Executor
    strict: bool = False

    @property
    def fields(self) -> Mapping[str, Field]:
        """Every field by name."""
        return tasks.fields()

    def stage(
        self,
        function: Callable[..., Any],
        config: Any,
        name: str,
        context: Mapping[str, Any] | None = None,
        also: Mapping[str, Any] | None = None,
        **inputs: Any,
    ) -> Path:
        """Run one stage in this run's store."""
        config = self._seeded(config, name)
        return flow.run(
            function, config, store=self.out / STAGES, inputs=inputs, also=also, context=context, name=name
        )  # fmt: skip

    def _seeded(self, config: Any, name: str) -> Any:
        """Give a configuration without a seed the one that follows from the run's."""
        if hasattr(config, "seed") and config.seed == 0:
            return replace(config, seed=derive_seed(self.config.seed, name) % 2**31)
        return config

    # ------------------------------------------------------------------ the world and what the user brought

    @cached_property
    def world(self) -> Path:
        """Training renders."""
        from drivelet.synth.render import render_frames

        return self.stage(render_frames, self.config.world, "world", steps.GOLD, steps.GOLD_VERSION)

    @cached_property
    def rendered_test(self) -> Path:
        """Held-out renders."""
        from drivelet.synth.render import render_frames

        return self.stage(render_frames, self.config.test, "test", steps.GOLD, steps.GOLD_VERSION) / "manifest.csv"

    @cached_property
    def real(self) -> Path | None:
        """The user's images, split into train and test; None without `--images`."""
        strict = {"strict": True} if self.strict else {}
        return self.stage(steps.split_real, strict, "images", images=list(self.images)) if self.images else None

    @cached_property
    def test(self) -> Path:
        """The manifest that every model is measured on: the user's val rows, or the held-out renders."""
        return self.real / "test.csv" if self.real else self.rendered_test

    @cached_property
    def gold(self) -> list[Row]:
        """Hand-checked rows that calibrate the labelers: the user's train rows, or the val split of the renders."""
        per_field, seed = self.config.gold_rows, self.config.seed
        if self.real:
            return making.gold_sample(self.real / "train.csv", per_field=per_field, seed=seed, split="train")
        return making.gold_sample(self.world / "manifest.csv", per_field=per_field, seed=seed, split="val")

    # ------------------------------------------------------------------ teacher, labels, paint, mix

    @cached_property
    def teacher(self) -> Path:
        """The teacher: as it is, or adapted with LoRA to the user's hand-checked images."""
        from drivelet.vlm.load import resolve

        teacher = resolve(self.config.teacher)
        if self.real is None:
            return teacher
        labels = self.soft_labels(teacher, self.real / "train.csv", None, "adapt_labels")
        return self.train({"adapt": self.config.adapt}, teacher, labels)[0]

    @cached_property
    def labelled(self) -> list[Path]:
        """Labelled drives: the user's, or simulated ones."""
        from drivelet.drives.ingest import ingest_tables, say_assumed
        from drivelet.synth.driving.drive_sim import render_drives

        sources = list(self.drives) or [
            self.stage(render_drives, self.config.drives, "drives", steps.GOLD, steps.GOLD_VERSION)
        ]
        ingested = [
            self.stage(ingest_tables, self.config.ingest, "ingest", also=steps.place_of(source), source=source)
            for source in sources
        ]
        for folder in ingested:
            say_assumed(folder)
        context = {"gold": self.gold, "executor": self.executor, "strict": self.strict}
        also = {"gold": labelling.known_by(self.gold), "shown_as": self.teacher.name, "strict": self.strict}
        return [
            self.stage(
                labelling.label_drives, self.config.label, "label", context, also, drives=folder, teacher=self.teacher
            )
            for folder in ingested
        ]

    @cached_property
    def painted(self) -> Path:
        """Pictures of the text-to-image loop."""
        return self.stage(
            painting.paint_pictures, self.config.paint, "paint", painter=Path(self.config.painter),
            world=self.world, teacher=self.teacher,
        )  # fmt: skip

    @cached_property
    def mixed(self) -> Path:
        """The training set."""
        from drivelet.dataset.mix import mix
        from drivelet.drives.frames import frames_at

        real = [self.real / "train.csv"] if self.real else []
        painted = (
            [self.painted] if any(r["kept"] for r in flow.read_json(self.painted / "rounds.json")["rounds"]) else []
        )
        sources = [*real, *self.labelled, self.world, *painted]
        context: dict[str, Any] = {"fields": self.fields, "read_frames": frames_at}
        if not (self.real and self.config.check_labels):
            return self.stage(mix, self.config.mix, "mix", context, sources=sources)
        from drivelet.recipes.mixing import asking
        from drivelet.vlm.load import resolve

        # The teacher as it is: the adapted one has learned these very labels.
        context |= {"ask": asking(self.config.teacher), "options": ["--teacher", self.config.teacher]}
        also = {"teacher": resolve(self.config.teacher)}
        return self.stage(mix, self.config.mix, "mix", context, also, sources=sources)

    @cached_property
    def zoomed(self) -> Path:
        """The training set's manifest with close-ups."""
        from drivelet.dataset.zoom import zoom

        context = {"fields": self.fields}
        return (
            self.stage(zoom, self.config.zoom, "zoom", context, manifest=self.mixed / "manifest.csv") / "manifest.csv"
        )

    # ------------------------------------------------------------------ prompts, distillation, AWQ

    @cached_property
    def prompts(self) -> Path:
        """The prompts folder: optimised on the student's train and val rows."""
        return self.stage(
            making.optimise_prompts, self.config.prompts, "prompts",
            student=Path(self.config.student), manifest=self.mixed / "manifest.csv",
        )  # fmt: skip

    def soft_labels(self, teacher: Path, manifest: Path, prompts: Path | None, name: str) -> Path:
        """The teacher's soft labels of a manifest's train rows."""
        return self.stage(
            making.soft_label_rows, self.config.soft_labels, name, teacher=teacher, manifest=manifest, prompts=prompts
        )

    def train(self, configs: Mapping[str, Any], student: Path, labels: Path) -> list[Path]:
        """Train adapters on soft labels, one model a configuration, side by side where the executor has the workers.

        Returns:
            The merged models' folders, in order.
        """
        jobs = [(name, self._seeded(config, name)) for name, config in configs.items()]
        inputs = {"student": student, "soft_labels": labels}
        return self.executor.map(partial(_train, self.out / STAGES, inputs), jobs)

    @cached_property
    def signs_read(self) -> Path:
        """What text recognition reads on the user's hand-checked signs."""
        assert self.real is not None
        return self.stage(read_signs, {}, "signs_read", images=self.real / "train.csv")

    @cached_property
    def models(self) -> list[tuple[str, Path, Path | None]]:
        """The rows of the table: (name, model, prompts)."""
        student = Path(self.config.student)
        labels = self.soft_labels(self.teacher, self.zoomed, self.prompts, "soft_labels")
        if self.real:
            labels = self.stage(
                pool_teachers, self.config.second_teacher, "second_teacher",
                soft_labels=labels, images=self.real / "train.csv", read=self.signs_read,
            )  # fmt: skip
        data, distilled = self.train({"data": self.config.data, "distil": self.config.distil}, student, labels)
        awq = self.stage(
            making.quantise_model, self.config.awq, "awq",
            model=distilled, soft_labels=labels, count=self.config.calibration_images,
        )  # fmt: skip
        return [
            ("teacher", self.teacher, None),
            ("base", student, None),
            ("prompts", student, self.prompts),
            ("data", data, self.prompts),
            ("distilled", distilled, self.prompts),
            ("awq", awq, self.prompts),
        ]

    @cached_property
    def predict(self) -> steps.PredictConfig:
        """How every model is measured, in one dtype."""
        return steps.one_dtype(self.config.predict)

    def run(self) -> Path:
        """Run everything; write `summary.json` and `report.html`; return the report's path."""
        jobs = [
            (f"measure_{name}", {"model": model, "manifest": self.test, "prompts": prompts, "key": name})
            for name, model, prompts in self.models
        ]
        folders = self.executor.map(partial(_measure, self.out / STAGES, self.predict), jobs)
        measured = [(*row, folder) for row, folder in zip(self.models, folders, strict=True)]
        gap, alarms = self.domain_gap(measured[-1])
        # After all that may run side by side: speed is that of a model alone.
        speed = self.stage(
            speeds, self.predict, "speed", manifest=self.test,
            models={name: model for name, model, _ in self.models},
            prompts={name: prompts for name, _, prompts in self.models},
        )  # fmt: skip
        extras = {
            "painter": flow.read_json(self.painted / "rounds.json"),
            "labels": [record for folder in self.labelled for record in labelling.label_counts(folder)],
            "quantisation": making.quantisation_records(self.models[-1][1]),
            "mix": flow.read_json(self.mixed / "mix.json"),
            **gap,
        }
        real = self.real is not None
        return write_results(self.config, self.out, self.test, measured, speed, extras, real=real, alarms=alarms)

    def domain_gap(self, final: Measured) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return what separates the user's images from the renders with what it costs the final model, and alarms.

        Nothing without `--images`: then every test is synthetic.
        """
        if self.real is None:
            return {}, []
        from drivelet.recipes.domain_gap import GAP, gap_of

        name, model, prompts, folder = final
        try:
            measured = self._measured_gap()
        except InputError as error:
            say(f"the domain gap is not measured: {error}", style="yellow")
            return {}, []
        inputs = {"model": model, "manifest": self.rendered_test, "prompts": prompts, "key": f"{name}, rendered"}
        rendered = self.stage(steps.measure, replace(self.predict, blind=False), "measure_rendered", **inputs)
        gap = flow.read_json(measured / GAP)
        tests = {"real": (self.test, folder), "synthetic": (self.rendered_test, rendered)}
        accuracy, alarms = gap_of(self.config.domain_gap, model=name, measured=tests, gap=gap)
        return {"domain_gap": {"accuracy": accuracy, **gap}}, alarms

    def _measured_gap(self) -> Path:
        from drivelet.recipes.domain_gap import measure_gap
        from drivelet.vlm.load import resolve

        assert self.real is not None
        return self.stage(
            measure_gap, self.config.domain_gap, "domain_gap", real=self.real / "train.csv",
            synthetic=self.world / "manifest.csv", embedder=resolve(self.config.teacher),
        )  # fmt: skip


def _train(store: Path, inputs: Mapping[str, Path], job: tuple[str, Any]) -> Path:
    """Run one training as a stage, in whatever process an executor puts it."""
    from drivelet.distil.train import distil
    from drivelet.vlm.load import set_threads

    set_threads()
    name, config = job
    return flow.run(distil, config, store=store, inputs=inputs, name=name) / "model"


def _measure(store: Path, config: steps.PredictConfig, job: tuple[str, Mapping[str, Any]]) -> Path:
    """Measure one model as a stage, in whatever process an executor puts it."""
    name, inputs = job
    return flow.run(steps.measure, config, store=store, inputs=inputs, name=name)


def run_loop(
    config: LoopConfig,
    *,
    drives: Sequence[Path],
    images: Sequence[Path],
    out: Path,
    executor: Executor,
    strict: bool = False,
) -> Path:
    """Run the loop of a recipe.

    Args:
        config: the recipe's configuration.
        drives: videos, folders of images or folders of drives; simulated drives where none is given.
        images: manifests of labelled images; with them the table is on their val and test rows.
        out: gets `report.html`, `summary.json` and `stages/`, from which an interrupted run goes on.
        strict: damaged frames and images are an error; else they are left out and counted.
        executor: labels drives, trains and measures models side by side; results differ by rounding at most.

    Raises:
        InputError: an input is missing or wrong.
    """
    for path in [*drives, *images]:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; correct --drives or --images")
    for path in drives:
        discover(path)  # What holds no drive is told before anything is rendered.
    out.mkdir(parents=True, exist_ok=True)
    drives, images = [path.absolute() for path in drives], [path.absolute() for path in images]
    loop = Loop(config, drives, images, out.absolute(), executor, strict)
    with described(out, config=config, inputs={"drives": drives, "images": images, "strict": strict}):
        page = loop.run()
    say(f"report: {page}")
    return page
