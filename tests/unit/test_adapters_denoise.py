import warnings

import pytest
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler

from drivelet.adapters.denoise import colour_weight, noised

CLEAN = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
NOISE = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


# velocity is left out under flow noise: the scheduler defines it for its variance-preserving noise
@pytest.mark.parametrize(
    ("flow", "prediction"),
    [(True, "sample"), (True, "flow_prediction"), (False, "sample"), (False, "epsilon"), (False, "v_prediction")],
)
def test_the_scheduler_recovers_clean_latents_from_the_target(flow: bool, prediction: str) -> None:
    scheduler = DPMSolverMultistepScheduler(prediction_type=prediction, use_flow_sigmas=flow, steps_offset=1)
    noisy, timesteps, target = noised(scheduler, CLEAN, NOISE, torch.full((4,), 0.6))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler.set_timesteps(1000)
        scheduler._step_index = int((scheduler.timesteps - timesteps[0].long()).abs().argmin())
        recovered = scheduler.convert_model_output(target, sample=noisy)
    assert torch.allclose(recovered, CLEAN, atol=0.05)


def test_colourful_pixels_weigh_more_and_the_mean_is_one() -> None:
    shown = torch.zeros(1, 3, 4, 4)
    shown[0, 0, 0, 0] = 1.0
    weight = colour_weight(shown, 3.0)
    assert weight.mean() == pytest.approx(1.0)
    assert weight[0, 0, 0, 0] == pytest.approx(2.5 * float(weight[0, 0, 1, 1]))
