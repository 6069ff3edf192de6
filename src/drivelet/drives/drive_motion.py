"""The motion of a drive from all that it has: picture, sensors and what is known of the camera, on one clock."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any

from drivelet.core.artifacts import EgoMotion
from drivelet.drives.clock import ClockConfig, ClockOffset, estimate_offset
from drivelet.drives.ego_motion import YAW_RATE, EgoConfig, ego_motion
from drivelet.drives.image_motion import ImageMotion
from drivelet.drives.sensors import Samples, SensorLog

SURE = 0.5
"""From this confidence on the picture's shift a radian serves as the focal length."""


@dataclass(frozen=True, kw_only=True)
class DriveMotion:
    """The car's motion over the frames, the sensors on the camera's clock, how that clock was found, and what was
    taken for granted.
    """

    ego: EgoMotion
    log: SensorLog
    clock: ClockOffset | None
    assumed: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what `drive.json` says of it."""
        clock = asdict(self.clock) if self.clock else {"alarm": ""}
        known = {name: round(v, 5) if isinstance(v, float) else v for name, v in clock.items() if v == v}
        focal = self.ego.focal_px
        return {
            "focal_px": round(focal, 4) if isfinite(focal) else None,
            "clock": known,
            "motion_sources": dict(self.ego.sources),
        }


def find_motion(
    times: Sequence[float],
    log: SensorLog,
    visual: Sequence[ImageMotion],
    *,
    focal_px: float | None,
    clock: ClockConfig,
    ego: EgoConfig,
) -> DriveMotion:
    """Compare the clocks where there are pictures and a gyro, and tell the car's motion on the camera's clock.

    Args:
        times: seconds, one a frame.
        log: sensors on their own clock.
        visual: motion into each frame; empty without pictures.
        focal_px: where the source tells it; else the shift a radian serves, where that is sure.
    """
    gyro = log.channels.get(YAW_RATE)
    offset = None
    if gyro is not None and visual:
        shifts = [motion.shift_px for motion in visual]
        offset = estimate_offset(times, shifts, [motion.quality for motion in visual], *gyro, config=clock)
    focal = focal_px or nan
    if not isfinite(focal) and offset and not offset.alarm and offset.confidence >= SURE:
        focal = offset.slope_px_per_rad
    motion = ego_motion(times, channels=dict(log.channels), visual=visual, focal_px=focal, clock=offset, config=ego)
    return DriveMotion(ego=motion, log=_on_camera_clock(log, offset), clock=offset)


def _on_camera_clock(log: SensorLog, clock: ClockOffset | None) -> SensorLog:
    shift = clock.offset_s if clock is not None and not clock.alarm else 0.0
    return SensorLog(
        channels={name: Samples(samples.time_N + shift, samples.value_N) for name, samples in log.channels.items()}
    )
