"""Conditions of lenses and image sensors on a drive: blur, noise, exposure, white balance, dirt,
glare, rain, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from leapai.types.vocabulary import FloatArray, ImageArray
from leapai_world.random_generators import random_generator

_DIRT, _RAIN = 201, 202
"""Purposes of a random generator."""
_DIRT_SIDE_PX = 24
"""Dirt is drawn at this height and width, then enlarged."""


@dataclass(frozen=True)
class Conditions:
    """Conditions of all cameras of a drive; the defaults leave an image as it is."""

    blur_px: float = 0.0
    """Standard deviation of a Gaussian blur, in pixels of an image 128 px high."""
    noise: float = 0.0
    """Standard deviation of further noise of the sensor, grey levels."""
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Exposure times white balance of red, green and blue."""
    gamma: float = 1.0
    """Tone curve: brightness^gamma."""
    dirt: float = 0.0
    """Share of the lens that is dirty."""
    glare: float = 0.0
    """Stray light, as a share of full brightness, around the brightest place."""
    rain: float = 0.0
    """Streaks of rain for each thousand pixels."""
    jpeg_quality: int = 100
    """Quality of compression; 100: none."""


def draw_conditions(rng: np.random.Generator) -> Conditions:
    """Draws the conditions of a drive: most are mild, each is bad now and then."""
    exposure = np.exp(rng.normal(0.0, 0.25))
    balance = np.exp(rng.normal(0.0, 0.08, 3))
    red, green, blue = (float(g) for g in exposure * balance)
    is_rainy = rng.random() < 0.12
    return Conditions(
        blur_px=float(rng.exponential(0.45)),
        noise=float(rng.exponential(3.0)),
        gain=(red, green, blue),
        gamma=float(np.exp(rng.normal(0.0, 0.2))),
        dirt=float(rng.uniform(0.02, 0.15)) if rng.random() < 0.15 else 0.0,
        glare=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.12 else 0.0,
        rain=float(rng.uniform(0.3, 2.0)) if is_rainy else 0.0,
        jpeg_quality=int(rng.integers(40, 101)),
    )


def degraded(
    image: ImageArray, conditions: Conditions, camera: int, *noise_stream: int
) -> ImageArray:
    """Returns the image [H, W, 3] as camera number `camera` takes it.

    Dirt stays where it is through a drive, whose seed is the first of `noise_stream`; rain and
    noise differ from frame to frame.
    """
    seed, rng = noise_stream[0], random_generator(*noise_stream, _RAIN, camera)
    height = image.shape[0]
    light: FloatArray = image.astype(np.float32)
    if conditions.glare:
        light += 255 * np.float32(conditions.glare) * _glare(light)
    if conditions.dirt:
        light = _dirty(light, conditions.dirt, random_generator(seed, _DIRT, camera))
    if conditions.rain:
        light = _rainy(light, conditions.rain, rng)
    sigma = conditions.blur_px * height / 128
    if sigma > 0.1:
        light = cv2.GaussianBlur(light, (0, 0), sigma)
    light = light / 255 * np.array(conditions.gain, np.float32)
    light = np.maximum(light, 0) ** np.float32(conditions.gamma) * 255
    light += np.float32(conditions.noise) * rng.standard_normal((*image.shape[:2], 1), np.float32)
    taken = np.clip(light, 0, 255).astype(np.uint8)
    return taken if conditions.jpeg_quality >= 100 else _compressed(taken, conditions.jpeg_quality)


def _compressed(image: ImageArray, quality: int) -> ImageArray:
    """Returns the image after compression as JPEG."""
    # OpenCV takes red for blue, on the way there and on the way back.
    stream = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(stream, cv2.IMREAD_COLOR), np.uint8)


def _glare(light: FloatArray) -> FloatArray:
    """Returns stray light [H, W, 1] in [0, 1] around the brightest place of an image."""
    height, width = light.shape[:2]
    smooth = cv2.GaussianBlur(light.mean(-1), (0, 0), height / 20)
    row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    distance = np.hypot(y - row, x - column) / height
    return np.asarray(np.exp(-3 * distance)[..., None], np.float32)


def _dirty(light: FloatArray, share: float, rng: np.random.Generator) -> FloatArray:
    """Returns the image with blots that hide and blur `share` of it."""
    height, width = light.shape[:2]
    cells = rng.random((_DIRT_SIDE_PX, _DIRT_SIDE_PX)).astype(np.float32)
    cells = cv2.GaussianBlur(cells, (0, 0), 1.5)
    blots = cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC)
    limit = np.quantile(blots, 1 - share)
    opaque = np.clip((blots - limit) / (0.3 * (blots.max() - limit) + 1e-6), 0, 1)[..., None]
    colour = np.float32(rng.uniform(30, 120)) * np.array([1.0, 0.9, 0.75], np.float32)
    soiled: FloatArray = light + 0.85 * opaque * (colour - light)
    return soiled


def _rainy(light: FloatArray, per_thousand_px: float, rng: np.random.Generator) -> FloatArray:
    """Returns the image with bright streaks and less contrast."""
    height, width = light.shape[:2]
    streaks = np.zeros((height, width), np.float32)
    for _ in range(int(per_thousand_px * height * width / 1000)):
        x, y = rng.integers(width), rng.integers(height)
        length, slope = rng.integers(2, 2 + height // 10), rng.normal(0.0, 0.15)
        end = (int(x + slope * length), int(y + length))
        cv2.line(streaks, (int(x), int(y)), end, float(rng.uniform(15, 60)), 1, cv2.LINE_AA)
    wet: FloatArray = 0.9 * light + 0.1 * light.mean() + streaks[..., None]
    return wet
