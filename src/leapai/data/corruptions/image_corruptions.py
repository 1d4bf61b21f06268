"""Corruptions of camera images: motion blur, brightness, dark, fog, snow (Beemelmanns et al.,
"MultiCorrupt", IV 2024; snow and fog after Hendrycks and Dietterich, ICLR 2019).

Every function takes an image [H, W, 3] uint8 RGB, a severity 1, 2 or 3 and a random generator, and
returns an image like it. Lengths in pixels are those of the benchmark's images, which are 1600 px
wide, and are scaled with the width; noise is drawn for every pixel of the image that is given.
"""

from __future__ import annotations

import cv2
import numpy as np

from leapai.data.corruptions.seeded_draws import Generator
from leapai.types import FloatArray, ImageArray

WIDTH_PX = 1600
"""Width of the images that lengths are given for."""
BLUR_RADIUS_PX = 15


def motion_blur(image: ImageArray, severity: int, rng: Generator) -> ImageArray:
    """Blurs along a direction within 45 degrees of level, with a sigma of 6, 10 or 13 px."""
    sigma_px = 100 * (0.06, 0.10, 0.13)[severity - 1]
    kernel = motion_kernel(image.shape[1], BLUR_RADIUS_PX, sigma_px, rng.uniform(-45, 45))
    return _as_image(_filtered(image.astype(np.float32), kernel))


def brightness(image: ImageArray, severity: int, rng: Generator) -> ImageArray:
    """Adds 0.5, 0.6 or 0.7 to the value of hue, saturation, value."""
    del rng
    hsv = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] + (0.5, 0.6, 0.7)[severity - 1], 0, 1)
    return _as_image(255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def dark(image: ImageArray, severity: int, rng: Generator) -> ImageArray:
    """Darkens to a range of 0 to 0.6, 0.4 or 0.3 with gamma 2, then adds photon and read noise."""
    most = (0.60, 0.40, 0.30)[severity - 1]
    photons = 10 * (25, 12, 5)[severity - 1]
    light = most * (image / 255.0) ** 2
    light = rng.poisson(light * photons) / photons
    light += rng.normal(0.0, 0.1 * (0.08, 0.18, 0.26)[severity - 1], light.shape)
    return _as_image(255 * light)


def fog(image: ImageArray, severity: int, rng: Generator) -> ImageArray:
    """Lays fog of uneven density over the image, then even fog that is densest in the middle.

    The uneven part is a plasma fractal that attenuates by up to 0.8 and scatters back 0.5. The even
    part has transmittance exp(-beta d) and an air light of 0.5, where d falls from the middle to
    the edges: there the road is far.
    """
    height, width = image.shape[:2]
    roughness = (2, 3, 4)[severity - 1]
    plasma = plasma_fractal(max(height, width), roughness, rng)[:height, :width, None]
    density = 0.25 * roughness * plasma
    light = image / 255.0 * (1 - 0.8 * density) + 0.5 * density
    y, x = np.mgrid[:height, :width]
    from_middle = np.maximum(np.abs(x - width / 2), np.abs(y - height / 2))
    beta = (0.0005, 0.001, 0.002)[severity - 1] * WIDTH_PX / width
    through = np.exp(-beta * (from_middle.max() - from_middle))[..., None]
    return _as_image(255 * (light * through + 0.5 * (1 - through)))


def snow(image: ImageArray, severity: int, rng: Generator) -> ImageArray:
    """Lays flakes that fall in one direction over a paler image, which is a tenth darker."""
    mean, zoom, threshold, radius_px, sigma_px, mix = (
        (0.3, 5, 0.9, 7, 7, 0.9),
        (0.4, 4, 0.85, 8, 8, 0.85),
        (0.5, 3, 0.8, 10, 10, 0.8),
    )[severity - 1]
    height, width = image.shape[:2]
    grain_px = max(1, round(zoom * width / WIDTH_PX))
    grains = rng.normal(mean, 0.3, (-(-height // grain_px), -(-width // grain_px)))
    flakes = cv2.resize(grains.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    flakes[flakes < threshold] = 0
    kernel = motion_kernel(width, radius_px, sigma_px, rng.uniform(-135, -45))
    flakes = _filtered(np.clip(flakes, 0, 1), kernel)
    light = image.astype(np.float32) / 255
    grey = cv2.cvtColor(light, cv2.COLOR_RGB2GRAY)[..., None]
    light = mix * light + (1 - mix) * np.maximum(light, 1.5 * grey + 0.5)
    layers = flakes[..., None] + np.rot90(flakes, 2)[..., None]
    return _as_image(255 * 0.9 * np.clip(light + layers, 0, 1))


def motion_kernel(width_px: int, radius_px: int, sigma_px: float, angle_deg: float) -> FloatArray:
    """Returns a kernel [K, K] that sums to 1: half a Gaussian along a line from its middle, as long
    as the diameter. Lengths are scaled to an image of `width_px`."""
    scale = width_px / WIDTH_PX
    steps = max(1, round(2 * radius_px * scale))
    distance = np.arange(steps + 1)
    weight = np.exp(-0.5 * (distance / (sigma_px * scale)) ** 2)
    kernel = np.zeros((2 * steps + 1, 2 * steps + 1), np.float32)
    x = np.round(steps + distance * np.cos(np.radians(angle_deg))).astype(int)
    y = np.round(steps + distance * np.sin(np.radians(angle_deg))).astype(int)
    np.add.at(kernel, (y, x), weight)
    return np.asarray(kernel / kernel.sum())


def plasma_fractal(side_px: int, roughness: float, rng: Generator) -> FloatArray:
    """Returns a plasma fractal [S, S] in [0, 1], S >= `side_px`: noise of all sizes whose amplitude
    falls by `roughness` from a size to half of it."""
    side = 1 << int(np.ceil(np.log2(max(side_px, 2))))
    field, amplitude, cells = np.zeros((side, side), np.float32), 1.0, 2
    while cells <= side:
        noise = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
        field += amplitude * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
        amplitude, cells = amplitude / roughness, 2 * cells
    field -= field.min()
    return np.asarray(field / field.max())


def _as_image(light: FloatArray) -> ImageArray:
    return np.clip(np.round(light), 0, 255).astype(np.uint8)


def _filtered(image: FloatArray, kernel: FloatArray) -> FloatArray:
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT))
