"""The motion of a drive from all that it has: picture, sensors and what is known of the camera, on one clock."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import field as default
from math import isfinite, nan
from typing import Any

from drivelet.core.artifacts import EgoMotion
from drivelet.drives.clock import ClockConfig, ClockOffset, estimate_offset
from drivelet.drives.ego_motion import YAW_RATE, EgoConfig, ego_motion
from drivelet.drives.image_motion import ImageMotion
from drivelet.drives.plausible import check, seen_turning
from drivelet.drives.sensors import Samples, SensorLog

SURE = 0.5
"""From this confidence on the picture's shift a radian serves as the focal length."""


@dataclass(frozen=True, kw_only=True)
class DriveMotion:
    """The car's motion over the frames, the sensors on the camera's clock, how that clock was found, what was taken for
    granted or looks unusual, and which channels are not used and why.
    """

    ego: EgoMotion
    log: SensorLog
    clock: ClockOffset | None
    assumed: Sequence[str] = ()
    refused: Mapping[str, str] = default(default_factory=dict)

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
    width: int = 0,
    doubts: Mapping[str, str] = {},
) -> DriveMotion:
    """Compare the clocks where there are pictures and a gyro, and tell the car's motion on the camera's clock.

    A gyro that turns the other way than the picture is turned round; a channel whose unit cannot be what it is said to
    be, or whose doubt the picture does not take away, is refused.

    Args:
        times: seconds, one a frame.
        log: sensors on their own clock.
        visual: motion into each frame; empty without pictures.
        focal_px: where the source tells it; else the shift a radian serves, where that is sure.
        width: of the pictures, 0 without.
        doubts: channel -> why it may only be used where the picture bears it out.
    """
    log, offset, turned = _compared(times, log, visual, clock)
    slope = _slope(times, log, visual, offset)
    verdict = check(log.channels, slope=slope, focal_px=focal_px or nan, width=width, end=times[-1])
    borne_out = offset is not None and not offset.alarm
    refused = {**({} if borne_out else {c: why for c, why in doubts.items() if c in log.channels}), **verdict.refused}
    log = SensorLog(channels={name: samples for name, samples in log.channels.items() if name not in refused})
    offset = offset if YAW_RATE in log.channels else None
    focal = focal_px or nan
    if not isfinite(focal) and offset and not offset.alarm and offset.confidence >= SURE:
        focal = offset.slope_px_per_rad
    motion = ego_motion(times, channels=dict(log.channels), visual=visual, focal_px=focal, clock=offset, config=ego)
    return DriveMotion(
        ego=motion, log=_on_camera_clock(log, offset), clock=offset, refused=refused,
        assumed=[*turned, *verdict.unusual],
    )  # fmt: skip


def _slope(times: Sequence[float], log: SensorLog, visual: Sequence[ImageMotion], offset: ClockOffset | None) -> float:
    """Pixels a radian, by the clocks' comparison where this is sound, else as the turning comes."""
    if offset is None:
        return nan
    if not offset.alarm:
        return offset.slope_px_per_rad
    shifts, quality = [motion.shift_px for motion in visual], [motion.quality for motion in visual]
    return seen_turning(times, shifts, quality, log.channels[YAW_RATE])


def _compared(
    times: Sequence[float], log: SensorLog, visual: Sequence[ImageMotion], clock: ClockConfig
) -> tuple[SensorLog, ClockOffset | None, list[str]]:
    """The log with its gyro the way round that the picture says, how the clocks compare, a line where it was turned."""
    gyro = log.channels.get(YAW_RATE)
    if gyro is None or not visual:
        return log, None, []
    shifts, quality = [motion.shift_px for motion in visual], [motion.quality for motion in visual]
    offset = estimate_offset(times, shifts, quality, *gyro, config=clock)
    if offset.slope_px_per_rad < 0:
        round_about = Samples(gyro.time_N, -gyro.value_N)
        other = estimate_offset(times, shifts, quality, *round_about, config=clock)
        if not other.alarm and other.confidence >= SURE:
            line = f"the yaw rate's sign is turned, as the picture turns the other way ({other.confidence:.0%} sure)"
            return SensorLog(channels={**log.channels, YAW_RATE: round_about}), other, [line]
    return log, offset, []


def _on_camera_clock(log: SensorLog, clock: ClockOffset | None) -> SensorLog:
    shift = clock.offset_s if clock is not None and not clock.alarm else 0.0
    return SensorLog(
        channels={name: Samples(samples.time_N + shift, samples.value_N) for name, samples in log.channels.items()}
    )
