"""A drawn world that a car drives through: a far panorama, ground, things in depth, other cars; and its true motion."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

WIDTH, HEIGHT, FOCAL = 320, 192, 345.0
CAMERA_Z = 1.4
STEP_S = 0.005


@dataclass(frozen=True, kw_only=True)
class Course:
    """True motion at `STEP_S`, in the first pose's axes: x forward, y left; yaw rate positive to the left."""

    t: np.ndarray
    speed: np.ndarray
    yaw_rate: np.ndarray
    heading: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def at(self, t: float) -> tuple[float, float, float]:
        return tuple(float(np.interp(t, self.t, values)) for values in (self.x, self.y, self.heading))


def course(speed: np.ndarray, yaw_rate: np.ndarray) -> Course:
    """Integrate speed and yaw rate given at `STEP_S`."""
    heading = np.concatenate([[0.0], np.cumsum(yaw_rate[:-1]) * STEP_S])
    x = np.concatenate([[0.0], np.cumsum(speed[:-1] * np.cos(heading[:-1])) * STEP_S])
    y = np.concatenate([[0.0], np.cumsum(speed[:-1] * np.sin(heading[:-1])) * STEP_S])
    t = np.arange(len(speed)) * STEP_S
    return Course(t=t, speed=speed, yaw_rate=yaw_rate, heading=heading, x=x, y=y)


def random_course(rng: np.random.Generator, seconds: float, *, turn: float = 0.25, stop: bool = True) -> Course:
    """Turns of a second or so to either side, a little wander, a cruise with a stop in it."""
    t = np.arange(0, seconds + STEP_S, STEP_S)
    rate = np.zeros_like(t)
    for _ in range(max(2, round(seconds / 5))):
        centre, width = rng.uniform(0, seconds), rng.uniform(0.5, 1.6)
        rate += turn * rng.uniform(0.3, 1.2) * rng.choice([-1, 1]) * np.exp(-(((t - centre) / width) ** 2))
    wander = rng.normal(0, 0.02, (len(t) // 200) + 2)
    rate += np.interp(t, np.arange(len(wander)), wander)
    speed = rng.uniform(5, 13) + np.interp(t, [0, seconds], rng.uniform(-2, 2, 2))
    if stop:
        # From the cruise to a stand within two seconds, and off again.
        begin = rng.uniform(0.3, 0.6) * seconds
        end = begin + rng.uniform(2.5, 4.0)
        speed *= np.clip(np.maximum((begin - t) / 2, (t - end) / 3), 0, 1)
    moving = np.minimum(speed / 3.0, 1.0)
    return course(speed, rate * moving)


@dataclass
class World:
    """What stands and drives along a course; drawn once, seen from anywhere."""

    rng: np.random.Generator
    panorama: np.ndarray = field(init=False)
    ground: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.panorama = self._shapes(256, 2048, 500, (4, 30))
        self.ground = np.clip(self._shapes(512, 512, 300, (3, 12)) * 0.25 + 70, 0, 255).astype(np.uint8)
        self.patches = [self._shapes(64, 64, 14, (5, 20)) for _ in range(12)]

    def _shapes(self, height: int, width: int, count: int, size: tuple[int, int]) -> np.ndarray:
        image = np.full((height, width), self.rng.uniform(90, 170), np.uint8)
        for _ in range(count):
            x, y = int(self.rng.integers(width)), int(self.rng.integers(height))
            w, h = (int(v) for v in self.rng.integers(*size, 2))
            cv2.rectangle(image, (x, y), (x + w, y + h), float(self.rng.uniform(20, 235)), -1)
        return cv2.GaussianBlur(image, (0, 0), 1.2)

    def populate(self, path: Course, *, posts: int, cars: int) -> None:
        """Put posts beside the path and cars that drive along or against it."""
        self.posts = []
        for _ in range(posts):
            k = int(self.rng.integers(len(path.t)))
            side = float(self.rng.choice([-1, 1]) * self.rng.uniform(4, 25))
            ahead = float(self.rng.uniform(0, 50))
            h = path.heading[k]
            x = path.x[k] + ahead * math.cos(h) - side * math.sin(h)
            y = path.y[k] + ahead * math.sin(h) + side * math.cos(h)
            if np.min(np.hypot(path.x - x, path.y - y)) > 3.5:
                size = (float(self.rng.uniform(0.3, 8)), float(self.rng.uniform(1.5, 9)))
                self.posts.append((x, y, *size, self.patches[len(self.posts) % 12]))
        self.cars = []
        for _ in range(cars):
            begin, gap = float(self.rng.uniform(0, path.t[-1])), float(self.rng.uniform(8, 30))
            self.cars.append((begin, gap, float(self.rng.uniform(-20, 6)), float(self.rng.uniform(-6, 6))))

    def view(self, path: Course, t: float, *, pitch: float = 0.0) -> np.ndarray:
        """Return the grey picture (HEIGHT, WIDTH) that the camera takes at time `t`."""
        x, y, heading = path.at(t)
        horizon = HEIGHT / 2 - FOCAL * math.tan(pitch)
        image = self._background(x, y, heading, horizon)
        things = [(px, py, w, h, patch) for px, py, w, h, patch in self.posts]
        for begin, gap, speed, side in self.cars:
            ahead = gap + speed * (t - begin)
            cx, cy, ch = path.at(begin)
            place = (cx + ahead * math.cos(ch) - side * math.sin(ch), cy + ahead * math.sin(ch) + side * math.cos(ch))
            things.append((*place, 1.9, 1.5, self.patches[3]))
        seen = []
        for px, py, w, h, patch in things:
            ahead = (px - x) * math.cos(heading) + (py - y) * math.sin(heading)
            left = -(px - x) * math.sin(heading) + (py - y) * math.cos(heading)
            if ahead > 2.0 and abs(left) < ahead + w:
                seen.append((ahead, left, w, h, patch))
        for ahead, left, w, h, patch in sorted(seen, key=lambda item: -item[0]):
            _paste(image, patch, ahead, left, w, h, horizon)
        return image

    def _background(self, x: float, y: float, heading: float, horizon: float) -> np.ndarray:
        columns = (np.arange(WIDTH) + 0.5 - WIDTH / 2) / FOCAL
        rows = (np.arange(HEIGHT) + 0.5 - horizon) / FOCAL
        per_rad = self.panorama.shape[1] / (2 * math.pi)
        u = np.broadcast_to(((np.arctan(columns) - heading) * per_rad)[None], (HEIGHT, WIDTH))
        v = np.broadcast_to((rows * per_rad + 128)[:, None], (HEIGHT, WIDTH))
        far = _remap(self.panorama, u, v)
        depth = (CAMERA_Z / np.maximum(rows, 1e-3))[:, None]
        left = -columns[None] * depth
        gx = x + depth * math.cos(heading) - left * math.sin(heading)
        gy = y + depth * math.sin(heading) + left * math.cos(heading)
        near = _remap(self.ground, gx * 12, gy * 12)
        # Far ground is finer than a pixel: it fades to an even tone.
        share = np.exp(-depth / 12)
        return np.where(rows[:, None] > 0.005, share * near + (1 - share) * 100.0, far).astype(np.uint8)


def _remap(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    # The remapper counts in 16 bits: coordinates are wrapped first.
    x, y = (np.mod(m, n).astype(np.float32) for m, n in ((u, texture.shape[1]), (v, texture.shape[0])))
    return cv2.remap(texture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _paste(image: np.ndarray, patch: np.ndarray, ahead: float, left: float, w: float, h: float, horizon: float) -> None:
    scale = FOCAL / ahead
    x0, x1 = WIDTH / 2 - scale * (left + w / 2), WIDTH / 2 - scale * (left - w / 2)
    y1 = horizon + scale * CAMERA_Z
    y0 = y1 - scale * h
    small = cv2.resize(patch, (max(2, min(64, round(x1 - x0))), max(2, min(64, round(y1 - y0)))), interpolation=3)
    sx, sy = (x1 - x0) / small.shape[1], (y1 - y0) / small.shape[0]
    # The middle of pixel i lies at i + 0.5.
    matrix = np.array([[sx, 0, x0 + 0.5 * sx - 0.5], [0, sy, y0 + 0.5 * sy - 0.5]])
    cv2.warpAffine(small, matrix, (WIDTH, HEIGHT), dst=image, borderMode=cv2.BORDER_TRANSPARENT)


def film(
    rng: np.random.Generator, path: Course, times: np.ndarray, *, posts: int = 120, cars: int = 4, noise: float = 3.0
) -> Iterator[np.ndarray]:
    """Yield the drive's grey pictures at `times`, with sensor noise and a car that nods a little."""
    world = World(rng=rng)
    world.populate(path, posts=posts, cars=cars)
    for t in times:
        moving = float(np.interp(t, path.t, path.speed)) > 0.2
        image = world.view(path, float(t), pitch=float(rng.normal(0, 0.0015)) * moving)
        yield np.clip(image + rng.normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def gyro(
    rng: np.random.Generator, path: Course, *, hz: float, noise: float = 0.01, bias: float = 0.01
) -> tuple[np.ndarray, np.ndarray]:
    """Return (true times, readings) of a yaw gyro with white noise and a constant bias."""
    t = np.arange(0, path.t[-1], 1 / hz)
    return t, np.interp(t, path.t, path.yaw_rate) + bias + rng.normal(0, noise, len(t))
