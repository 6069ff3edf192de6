"""What a real camera adds to a scene of the world edition: sun in view, dirt, tone curve, noise, compression."""

from typing import Any

import numpy as np

from drivelet.core.rng import derive_seed, generator
from drivelet.synth.domain import DomainConfig


def lens(seed: int, index: int, domain: DomainConfig, sky: dict[str, Any], light: str, weather: str,
         camera: dict[str, Any], *, stream: str = "lens") -> dict[str, Any]:  # fmt: skip
    """Numbers for the renderer's `world` record, each 0 or missing where its effect is off.

    Args:
        seed, index, stream: name the random stream; a drive draws once for all its frames.
        domain: `glare`, `dirty_lens`, `jpeg` and `camera_noise` are read.
        sky: the `world` record so far: sun, clouds, noise.
        light, weather: as in the scene's setting.
        camera: its yaw says where a low sun must stand to be in view.
    """
    rng = generator(seed, stream, index)
    found: dict[str, Any] = {
        "tone": round(float(rng.uniform(0.55, 1.0)), 3),
        "halo": round({"day": 0.05, "dusk": 0.12, "night": 0.2}[light] * float(rng.uniform(0.5, 1.5)), 3),
        "vignette": round(float(rng.uniform(0.0, 0.25)), 3),
        "chroma": round(float(rng.choice([0.0, 0.5, 1.2])) * float(rng.random()), 3),
        "noise": round(sky["noise"] / 0.8 * float(rng.uniform(*domain.camera_noise)), 4),
        "blotches": round({"day": 0.0, "dusk": 0.02, "night": 0.05}[light] * float(rng.random()), 4),
        "jpeg": int(rng.integers(domain.jpeg[0], domain.jpeg[1] + 1)),
        "skyline": round(float(rng.choice([0.0, 0.03, 0.07])) * float(rng.uniform(0.5, 1.0)), 4),
    }
    if light == "night":
        found["headlights"] = round(sky["headlights"] * float(rng.uniform(0.65, 1.0)), 1)
    if weather == "overcast":
        found |= {"clouds": 1.0, "cloud_color": [round(0.9 * c, 4) for c in sky["horizon"]]}
    shaken = rng.random() < 0.12
    shake = rng.normal(0, 0.8, 2)
    if shaken:
        found["shake"] = [round(float(shake[0]), 2), round(float(shake[1]), 2)]
    found |= _sun(rng, domain, light, weather, camera)
    if rng.random() < domain.dirty_lens * (2.5 if weather == "rain" else 1.0):
        found |= {
            "dirt": round(float(rng.uniform(0.15, 1.0)), 3),
            "dirt_seed": derive_seed(seed, "dirt", index) % 2**31,
        }
    return found


def _sun(
    rng: np.random.Generator, domain: DomainConfig, light: str, weather: str, camera: dict[str, Any]
) -> dict[str, Any]:
    """A glow around the sun, and sometimes a low sun ahead."""
    low, aside, height = rng.random() < domain.glare, float(rng.uniform(-16, 16)), float(rng.uniform(4, 11))
    strength = float(rng.uniform(0.5, 1.0))
    if light == "night" or weather != "clear":
        return {}
    glow = {"sun_glow": 0.5 if light == "day" else 0.25}
    if not low:
        return glow
    azimuth = round(180.0 + camera["yaw"] + aside, 3)
    warm = [1.0, 0.82, 0.58] if light == "day" else [1.0, 0.6, 0.3]
    return {
        **glow, "sun_glow": 0.9, "sun_azimuth": azimuth, "sun_elevation": round(height, 3), "sun_color": warm,
        "glare": round(strength, 3),
    }  # fmt: skip
