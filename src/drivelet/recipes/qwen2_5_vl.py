"""`qwen2_5_vl`: the same loop with Qwen2.5-VL-72B as teacher and 7B as student, for one node of large GPUs."""

from dataclasses import replace

from drivelet.dataset.zoom import ZoomConfig
from drivelet.distil.train import DistilConfig
from drivelet.quantise.quantise import AwqConfig
from drivelet.recipes.config import LoopConfig
from drivelet.recipes.mini import mini
from drivelet.vlm.lora import LANGUAGE, LoraSettings


def qwen2_5_vl() -> LoopConfig:
    """Return the configuration for the published models: the demo's, with paths, sizes and rates of the large ones."""
    small = mini()
    student = DistilConfig(
        steps=4000, images_per_step=8, learning_rate=1e-4, warmup=100, temperature=2.0,
        lora=LoraSettings(rank=32, alpha=64.0, dropout=0.05, targets=(LANGUAGE,)),
    )  # fmt: skip
    return replace(
        small,
        name="qwen2_5_vl",
        teacher="Qwen/Qwen2.5-VL-72B-Instruct",
        student="Qwen/Qwen2.5-VL-7B-Instruct",
        world=replace(small.world, num_frames=20_000, workers=16),
        test=replace(small.test, num_frames=1500, workers=16),
        drives=replace(small.drives, num_drives=40, seconds=20.0, hz=10, workers=16),
        zoom=ZoomConfig(side=224),
        adapt=replace(student, alpha=0.0, steps=1000),
        data=replace(student, alpha=0.0),
        distil=student,
        awq=AwqConfig(bits=4, group_size=128),
        calibration_images=256,
    )
