"""`mini`: the whole loop on the shipped minis, sized for two CPU cores and twenty minutes."""

from dataclasses import replace

from drivelet.adapters.painter_lora import LoraConfig
from drivelet.dataset.mix import MixConfig
from drivelet.distil.train import DistilConfig
from drivelet.prompts.search import OptimiseConfig
from drivelet.quantise.quantise import AwqConfig
from drivelet.recipes.config import LoopConfig
from drivelet.recipes.settings import mini as mini_folder
from drivelet.recipes.steps import PredictConfig
from drivelet.synth.domain import world
from drivelet.synth.driving.drive_sim import DriveConfig
from drivelet.synth.painting.paint import PaintConfig
from drivelet.synth.render import RenderConfig
from drivelet.vlm.lora import LANGUAGE, VISION, LoraSettings

BOTH = LoraSettings(rank=32, alpha=64.0, targets=(LANGUAGE, VISION))


def mini() -> LoopConfig:
    """Return the demo's configuration.

    Expected before the first run: the final 4-bit student beats the base by 15 points on the rendered test, recovers
    80% of the gap to the teacher, and AWQ costs less than 2 points.
    """
    student = DistilConfig(steps=650, epochs=3.0, images_per_step=12, learning_rate=1.2e-3, lora=BOTH)
    return LoopConfig(
        name="mini",
        teacher=mini_folder("teacher-mini"),
        student=mini_folder("student-mini"),
        painter=mini_folder("painter-mini"),
        world=RenderConfig(num_frames=700, seed=11, workers=2, domain=world(), val=0.12, test=0.0),
        test=RenderConfig(num_frames=400, seed=12, workers=2, domain=world(), val=0.0, test=1.0),
        drives=DriveConfig(num_drives=2, seed=13, seconds=6.0, hz=5, workers=2, domain=world(), val=0.0, test=0.0),
        adapt=DistilConfig(alpha=0.0, epochs=3.0, images_per_step=16, learning_rate=2e-3, lora=BOTH),
        paint=PaintConfig(
            rounds=2,
            prompts_per_round=24,
            held_out_prompts=32,
            lora=LoraConfig(steps=40, learning_rate=3e-4, convolutions=True),
        ),
        mix=MixConfig(real_share=None),
        prompts=OptimiseConfig(rounds=1, train_rows=32),
        data=replace(student, alpha=0.0),
        distil=student,
        awq=AwqConfig(bits=4, group_size=64),
        predict=PredictConfig(threads=1),
    )
