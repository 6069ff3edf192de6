"""The configuration of the whole loop."""

from dataclasses import dataclass, field

from drivelet.core.ranges import Count, Name, Seed, Several, ranged
from drivelet.dataset.mix import MixConfig
from drivelet.dataset.zoom import ZoomConfig
from drivelet.distil.soft_labels import SoftLabelConfig
from drivelet.distil.train import DistilConfig
from drivelet.drives.ingest import IngestConfig
from drivelet.labels.label import LabelConfig
from drivelet.prompts.search import OptimiseConfig
from drivelet.quantise.quantise import AwqConfig
from drivelet.recipes.domain_gap import DomainGapConfig
from drivelet.recipes.second_teacher import SecondTeacherConfig
from drivelet.recipes.steps import PredictConfig
from drivelet.synth.driving.drive_sim import DriveConfig
from drivelet.synth.painting.paint import PaintConfig
from drivelet.synth.render import RenderConfig


@dataclass(frozen=True, kw_only=True)
@ranged
class LoopConfig:
    """Everything that `drivelet run` does, in its order.

    Attributes:
        teacher, student, painter: model folders or hub ids.
        world: training renders; `test` the held-out ones; `drives` the simulated drives (used where none are given).
        adapt: LoRA of the teacher on the hand-checked images of `--images`; not run without them.
        check_labels: let the teacher, before it is adapted, dispute the labels of `--images`.
        zoom: close-ups that join the training images.
        gold_rows: hand-checked rows of each field that calibrate the labelers.
        second_teacher: how text recognition joins the teacher on hand-checked signs; not run without `--images`.
        data: the control, plain fine-tuning on hard labels; `distil` the same with the teacher's soft labels.
        calibration_images: images that AWQ calibrates on.
        domain_gap: how real and rendered images are compared; not done without `--images`.
    """

    name: Name
    seed: Seed = 0
    teacher: Name
    student: Name
    painter: Name
    world: RenderConfig
    test: RenderConfig
    drives: DriveConfig
    ingest: IngestConfig = field(default_factory=IngestConfig)
    adapt: DistilConfig = field(default_factory=DistilConfig)
    gold_rows: Count = 40
    label: LabelConfig = field(default_factory=LabelConfig)
    paint: PaintConfig = field(default_factory=PaintConfig)
    check_labels: bool = False
    mix: MixConfig = field(default_factory=MixConfig)
    zoom: ZoomConfig = field(default_factory=ZoomConfig)
    prompts: OptimiseConfig = field(default_factory=OptimiseConfig)
    soft_labels: SoftLabelConfig = field(default_factory=SoftLabelConfig)
    second_teacher: SecondTeacherConfig = field(default_factory=SecondTeacherConfig)
    data: DistilConfig = field(default_factory=lambda: DistilConfig(alpha=0.0))
    distil: DistilConfig = field(default_factory=DistilConfig)
    awq: AwqConfig = field(default_factory=AwqConfig)
    calibration_images: Several = 64
    predict: PredictConfig = field(default_factory=PredictConfig)
    domain_gap: DomainGapConfig = field(default_factory=DomainGapConfig)
