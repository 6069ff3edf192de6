# Drivelet's Blender worker: the camera that develops linear light.
# Copyright (C) 2026 the Drivelet authors
#
# This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public
# License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later
# version. It is distributed WITHOUT ANY WARRANTY; see the GNU General Public License (the file LICENSE in this
# folder, or <https://www.gnu.org/licenses/>) for details.
#
# SPDX-License-Identifier: GPL-3.0-or-later
"""From linear light to a picture as a car's camera gives it; needs NumPy alone.

Every effect has a number in the scene's `world` record and is off where that is missing or 0. What an effect draws
comes from the scene's seed, or from a seed of its own where it must stay the same over a drive.
"""

import math

import numpy as np
from blender_jpeg import compressed

LUMA = np.array([0.2126, 0.7152, 0.0722])
WARM = np.array([1.0, 0.86, 0.66])


def develop(linear, world, seed, camera=None):
    """Optics, exposure, tone curve, rain, sensor noise and compression: (H, W, 3) linear light to 8 bits.

    `camera` is the scene's, needed where `world["glare"]` is set.
    """
    rng = np.random.default_rng(seed)
    light = np.clip(linear, 0, 12) * world["exposure"]
    if world.get("glare") and camera is not None:
        light = glare(light, sun_spot(world, camera, light.shape), world["glare"])
    if world["bloom"] > 0:
        light = light + world["bloom"] * blur(np.clip(light - 0.9, 0, 4), 2.5)
    if world.get("halo"):
        light = light + world["halo"] * wide_blur(np.clip(light - 0.8, 0, 8))
    if world.get("dirt"):
        light = smear(light, world["dirt"], np.random.default_rng(world["dirt_seed"]))
    if world["streaks"] > 0:
        light = light + rain(light.shape, int(world["streaks"]), rng) * (0.05 + 0.12 * light.mean())
    if world.get("vignette"):
        light = light * (1 - world["vignette"] * radius(light.shape) ** 2)[..., None]
    if world.get("chroma"):
        light = spread_colours(light, world["chroma"])
    if world.get("shake"):
        light = shaken(light, *world["shake"])
    light = tone(light, world.get("tone", 0.0))
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    shown = shown + rng.normal(0, world["noise"], shown.shape)
    if world.get("blotches"):
        shown = shown + world["blotches"] * blur(np.random.default_rng([seed, 1]).normal(0, 1, shown.shape), 1.4)
    levels = np.clip(np.rint(shown * 255), 0, 255).astype(np.uint8)
    return compressed(levels, world.get("jpeg", 100))


def tone(light, strength):
    """Clip at white, or roll off towards it by a filmic curve (K. Narkowicz, ACES fit, 2015) mixed in by `strength`."""
    clipped = np.clip(light, 0, 1)
    if not strength:
        return clipped
    x = 0.72 * np.maximum(light, 0)
    curve = np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)
    return (1 - strength) * clipped + strength * curve


def blur(image, sigma):
    """Separable Gaussian blur of (H, W, 3)."""
    reach = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for _ in (0, 1):
        padded = np.pad(image, [(reach, reach), (0, 0), (0, 0)], mode="edge")
        image = sum(w * padded[k : k + len(image)] for k, w in enumerate(kernel)).swapaxes(0, 1)
    return image


def wide_blur(image, shrink=4, sigma=2.2):
    """A blur over many pixels, done on a picture that is smaller by `shrink`."""
    high, wide, _ = image.shape
    pad = [(0, -high % shrink), (0, -wide % shrink), (0, 0)]
    small = np.pad(image, pad, mode="edge").reshape(-(-high // shrink), shrink, -(-wide // shrink), shrink, 3)
    soft = blur(small.mean(axis=(1, 3)), sigma)
    rows = (np.arange(high) + 0.5) / shrink - 0.5
    columns = (np.arange(wide) + 0.5) / shrink - 0.5
    return sample(soft, *np.meshgrid(rows, columns, indexing="ij"))


def sample(image, rows, columns):
    """Values at fractional places, bilinear, the edge repeated."""
    high, wide = image.shape[:2]
    rows, columns = np.clip(rows, 0, high - 1), np.clip(columns, 0, wide - 1)
    r0, c0 = rows.astype(int), columns.astype(int)
    r1, c1 = np.minimum(r0 + 1, high - 1), np.minimum(c0 + 1, wide - 1)
    fr, fc = rows - r0, columns - c0
    if image.ndim == 3:
        fr, fc = fr[..., None], fc[..., None]
    above = (1 - fc) * image[r0, c0] + fc * image[r0, c1]
    return (1 - fr) * above + fr * ((1 - fc) * image[r1, c0] + fc * image[r1, c1])


def grid(shape):
    """Rows and columns of every pixel as numbers."""
    return np.mgrid[0 : shape[0], 0 : shape[1]].astype(float)


def radius(shape):
    """Distance from the middle, 1 in the corners."""
    rows, columns = grid(shape)
    high, wide = shape[0] - 1, shape[1] - 1
    return np.hypot(rows - high / 2, columns - wide / 2) / max(math.hypot(high, wide) / 2, 1)


def spread_colours(light, shift):
    """Lateral colour error: red is larger and blue smaller by `shift` pixels in the corners."""
    high, wide, _ = light.shape
    rows, columns = grid(light.shape)
    planes = []
    for channel, sign in ((0, 1), (1, 0), (2, -1)):
        gain = 1 - sign * shift / (math.hypot(high, wide) / 2)
        there = [(a - n / 2 + 0.5) * gain + n / 2 - 0.5 for a, n in ((rows, high), (columns, wide))]
        planes.append(sample(light[..., channel], *there) if sign else light[..., channel])
    return np.stack(planes, -1)


def shaken(light, dx, dy):
    """Motion of the camera during the exposure, in pixels."""
    steps = max(int(2 * max(abs(dx), abs(dy))) + 1, 2)
    rows, columns = grid(light.shape)
    return sum(sample(light, rows + dy * t, columns + dx * t) for t in np.linspace(-0.5, 0.5, steps)) / steps


def sun_spot(world, camera, shape):
    """(row, column) of the sun in the picture, or None where it lies behind the camera."""
    azimuth, elevation = math.radians(world["sun_azimuth"]), math.radians(world["sun_elevation"])
    yaw, pitch = math.radians(camera["yaw"]), math.radians(camera["pitch"])
    side, ahead = math.sin(azimuth) * math.cos(elevation), -math.cos(azimuth) * math.cos(elevation)
    x, y, z = (
        side * math.cos(yaw) + ahead * math.sin(yaw),
        ahead * math.cos(yaw) - side * math.sin(yaw),
        math.sin(elevation),
    )
    depth, rise = y * math.cos(pitch) + z * math.sin(pitch), z * math.cos(pitch) - y * math.sin(pitch)
    if depth <= 0.05:
        return None
    high, wide = shape[:2]
    focal = wide / 2 / math.tan(math.radians(camera["hfov"]) / 2)
    return high / 2 - focal * rise / depth, wide / 2 + focal * x / depth


def glare(light, spot, strength):
    """Veil, star and ghosts of a sun at `spot`, weaker where something stands before it."""
    if spot is None:
        return light
    high, wide, _ = light.shape
    row, column = spot
    near = light[max(int(row) - 3, 0) : max(int(row) + 4, 1), max(int(column) - 3, 0) : max(int(column) + 4, 1)]
    free = float(np.clip(near @ LUMA / 1.5, 0, 1).mean()) if near.size else 0.4
    power = strength * (0.3 + 0.7 * free)
    rows, columns = grid(light.shape)
    away = np.hypot(rows - row, columns - column) / wide
    angle = np.arctan2(rows - row, columns - column)
    veil = 2.2 * np.exp(-away / 0.035) + 0.55 * np.exp(-away / 0.16) + 0.16
    veil = veil + 0.35 * np.exp(-away / 0.12) * np.abs(np.cos(3 * angle + 0.4)) ** 24
    ghosts = np.zeros_like(light)
    for along, size, tint in (
        (0.55, 0.03, (0.3, 0.9, 0.5)),
        (1.3, 0.05, (0.9, 0.5, 0.25)),
        (1.7, 0.022, (0.4, 0.5, 1.0)),
    ):
        r, c = row + 2 * along * (high / 2 - row), column + 2 * along * (wide / 2 - column)
        edge = np.clip((size - np.hypot(rows - r, columns - c) / wide) / 0.006, 0, 1)
        ghosts += 0.07 * edge[..., None] * np.array(tint)
    return light + power * (veil[..., None] * WARM + ghosts)


def smear(light, amount, rng):
    """A dirty or wet windscreen: round spots behind which the picture is blurred and a little veiled."""
    high, wide, _ = light.shape
    rows, columns = grid(light.shape)
    mask = np.zeros((high, wide))
    for _ in range(int(4 + 26 * amount)):
        r, c, size = rng.uniform(0, high), rng.uniform(0, wide), wide * rng.uniform(0.008, 0.045)
        squeeze = rng.uniform(0.8, 1.3)
        away = np.hypot((rows - r) * squeeze, columns - c) / size
        mask = np.maximum(mask, np.clip(1.6 * (1 - away), 0, 1) * rng.uniform(0.5, 1.0))
    soft = wide_blur(light, 2, 2.0)
    return light + mask[..., None] * (0.92 * soft + 0.04 * light.mean() - light)


def rain(shape, count, rng):
    """Short near-vertical streaks, 0..1."""
    high, wide, _ = shape
    layer = np.zeros(shape)
    slant = rng.uniform(-0.25, 0.25)
    for _ in range(count):
        x, y, length = rng.uniform(0, wide), rng.uniform(-10, high), rng.uniform(4, 16)
        steps = np.arange(int(length))
        rows, columns = (y + steps).astype(int), (x + slant * steps).astype(int)
        keep = (rows >= 0) & (rows < high) & (columns >= 0) & (columns < wide)
        layer[rows[keep], columns[keep]] += rng.uniform(0.3, 1.0)
    return np.clip(layer, 0, 1)
