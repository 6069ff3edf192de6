"""The straight road of a scene, and what its region says about limits."""

from dataclasses import dataclass

POSTED = {"eu": tuple(range(10, 131, 10)), "us": tuple(range(10, 81, 5)), "cn": (5, *range(10, 121, 10))}
UNIT = {"eu": "km/h", "us": "mph", "cn": "km/h"}
REGION_DEFAULT = {"eu": 50, "us": 35, "cn": 50}
"""Default limit of a road without a sign, in the region's unit (an urban road)."""


@dataclass(frozen=True, kw_only=True)
class Road:
    """The straight road of a scene: `lanes` each way, the ego in lane `lane` counted from the centre line."""

    lanes: int
    lane: int
    lane_width: float
    region: str
    area: str
    camera_z: float
    focal_px: float

    @property
    def half(self) -> float:
        """Half of the carriageway's width."""
        return self.lanes * self.lane_width

    @property
    def ego_x(self) -> float:
        """Centre of the ego lane."""
        return (self.lane + 0.5) * self.lane_width
