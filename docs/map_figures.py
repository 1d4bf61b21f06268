"""Draws pictures of the map: how lines are made, and the effect of memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from figure_files import FOLDER, save
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from PIL import Image

from leapai.checkpoints import config_of, load_checkpoint
from leapai.config import TaskConfig
from leapai.data.log import open_logs
from leapai.data.static_labels import with_static_labels
from leapai.evaluation.map.visibility import SightMemory
from leapai.models.build import build_model
from leapai.pictures.palette import MAP_ELEMENT_COLOURS
from leapai.streaming.map_lines import polylines
from leapai.streaming.session import StreamSession
from leapai.types import STATIC_CLASSES, BevGrid, BoolArray, FloatArray, Frame
from leapai.weights import shipped_checkpoint

MAP_GRID = BevGrid((-20.8, 62.4), (-22.4, 22.4), cell_m=0.2)
MEMORY_EXAMPLE = ("synthetic:split=val,drives=8,rate_hz=4", 1, 19)
"""Data, drive and frame of the picture of the memory."""


def map_figure() -> None:
    """Draws probabilities of an unsure network, their polylines, and the ground in sight."""
    log = open_logs("synthetic:seed=24,place=crossing,frames=40", image_size_px=(64, 120))[0]
    memory = SightMemory(MAP_GRID)
    for index in range(0, 31, 3):
        frame = log[index]
        sight = memory.sight(frame)
    assert sight is not None
    drawn = log.static_labels(index)
    gt = drawn.planes.astype(np.float32)
    rng = np.random.default_rng(0)
    soft = np.stack([cv2.GaussianBlur(plane, (0, 0), 1.0) * 2.2 for plane in gt])
    probability = np.clip(soft + rng.normal(0, 0.12, gt.shape), 0, 1)
    figure, axes = plt.subplots(1, 3, figsize=(11, 7.2), sharey=True)
    cells = _placed(MAP_GRID)
    ground = np.where(sight.seen_now, 0.5, np.where(sight.hidden(), 1.0, 0.0))
    axes[0].imshow(probability.max(0).T, cmap="magma", **cells)
    axes[2].imshow(ground.T, cmap=ListedColormap(["#e8e8e8", "#8fbf8f", "#d62728"]), **cells)
    for line in polylines(probability, MAP_GRID):
        dashed = {"linestyle": "--" if "Dashed" in line.kind else "-"}
        colour = {"Curb": "#b05a1e", "Lane": "#2f8f7f"}.get(line.kind, "#1f3f8f")
        axes[1].plot(line.points_m[:, 1], line.points_m[:, 0], color=colour, lw=1.2, **dashed)
        axes[1].plot(line.points_m[:, 1], line.points_m[:, 0], ".", color=colour, ms=4)
    titles = ("probability, all classes", "polylines", "in sight now; hidden, but seen before")
    for axis, title in zip(axes, titles, strict=True):
        _framed(axis, title, MAP_GRID)
    axes[0].set_ylabel("x, forward (m)")
    save(figure, "map.png")
    _shrink("map.png")


def map_memory_figure() -> None:
    """Draws the predicted map without memory and with it, and the ground truth."""
    config = config_of(shipped_checkpoint())
    size = config.camera.image_size_px
    data, drive, index = MEMORY_EXAMPLE
    log = open_logs(data, image_size_px=size)[drive]
    frames = [log[number] for number in range(index + 1)]
    predicted = [_probability(config, seen) for seen in (frames[-1:], frames)]
    region = config.static.region()
    sights = SightMemory(region)
    for frame in frames:
        sight = sights.sight(frame)
    assert sight is not None
    labels = with_static_labels(frame, log.vector_map(), region, STATIC_CLASSES).static_labels
    assert labels is not None
    gt = labels.planes.astype(np.float64)
    titles = ("predicted, without memory", "predicted, with memory", "ground truth")
    figure, axes = plt.subplots(1, 3, figsize=(11, 5.3), sharey=True)
    for axis, probability, title in zip(axes, (*predicted, gt), titles, strict=True):
        painted = _painted(probability, sight.hidden())
        axis.imshow(painted.transpose(1, 0, 2), **_placed(region))
        _framed(axis, title, region)
    axes[0].set_ylabel("x, forward (m)")
    save(figure, "road_memory.png")
    _shrink("road_memory.png")


def _probability(config: TaskConfig, frames: Sequence[Frame]) -> FloatArray:
    """Returns the probabilities of the last frame, streamed from the first one on."""
    model = build_model(config)
    load_checkpoint(shipped_checkpoint(), model)
    session = StreamSession(model, config)
    for frame in frames:
        result = session.step(frame)
    assert result.map is not None
    return result.map.probability


def _painted(probability: FloatArray, hidden: BoolArray) -> FloatArray:
    """Returns an image [rows, columns, 3]: marked cells in the colour of the likeliest class, and
    ground that is hidden now but was seen before in red."""
    image = np.where(hidden[..., None], (1.0, 0.88, 0.86), (1.0, 1.0, 1.0))
    colours = np.array([MAP_ELEMENT_COLOURS[name] for name in STATIC_CLASSES]) / 255.0 * 0.8
    marked = probability.max(0) >= 0.5
    image[marked] = colours[probability.argmax(0)[marked]]
    return image


def _placed(grid: BevGrid) -> dict[str, Any]:
    """Returns options of matplotlib that show cells at their places, x upwards."""
    extent = (*grid.y_range_m, *grid.x_range_m)
    return {"interpolation": "nearest", "origin": "lower", "extent": extent}


def _framed(axis: Axes, title: str, grid: BevGrid) -> None:
    axis.set_title(title, fontsize=10)
    axis.set_xlabel("y, left (m)")
    axis.set_xlim(*reversed(grid.y_range_m))
    axis.set_ylim(*grid.x_range_m)
    axis.set_aspect("equal")


def _shrink(name: str) -> None:
    """Reduces a picture to a few colours."""
    path = FOLDER / name
    Image.open(path).quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
