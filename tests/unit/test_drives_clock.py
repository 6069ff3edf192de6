"""The clock offset from pictures alone: a drawn drive, its gyro with noise and bias, and another clock."""

import numpy as np
import pytest

from drivelet.drives.clock import estimate_offset
from drivelet.drives.ego_motion import ego_motion
from drivelet.drives.image_motion import image_motion
from turning_drive import FOCAL, film, gyro, random_course


@pytest.mark.parametrize(("seed", "offset", "hz"), [(1, 0.73, 10.0), (2, -0.41, 15.0)])
def test_the_offset_is_read_off_the_pictures(seed: int, offset: float, hz: float) -> None:
    rng = np.random.default_rng(seed)
    path = random_course(rng, 12.0, turn=0.3)
    times = np.arange(0, 11.9, 1 / hz)
    motions = list(image_motion(film(rng, path, times, posts=80), full_width=320))
    gyro_t, readings = gyro(rng, path, hz=80.0)
    shifts, qualities = [m.shift_px for m in motions], [m.quality for m in motions]
    clock = estimate_offset(times, shifts, qualities, gyro_t - offset, readings)
    assert clock.alarm == ""
    assert clock.offset_s == pytest.approx(offset, abs=0.03)
    assert clock.confidence > 0.5
    assert clock.slope_px_per_rad == pytest.approx(FOCAL, rel=0.05)
    channels = {"yaw_rate_radps": (gyro_t - offset, readings)}
    motion = ego_motion(times, channels=channels, visual=motions, focal_px=FOCAL, clock=clock)
    truth = np.diff(np.interp(times, path.t, path.heading))
    felt = np.array([step.yaw_rad for step in motion.steps[1:]])
    known = ~np.isnan(felt)
    assert known.mean() > 0.85
    assert np.abs(felt - truth)[known].max() < 0.01
