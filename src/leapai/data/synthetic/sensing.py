"""One instant through all sensors: images, points, and how visible each actor is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.data.synthetic import footprints, render
from leapai.data.synthetic.casting import Hits, Stage, cast
from leapai.data.synthetic.rig import Rig
from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.types import FloatArray, ImageArray, IntArray


@dataclass(frozen=True)
class Sensed:
    """What the sensors of a rig give."""

    images: tuple[ImageArray, ...]
    """RGB [H, W, 3], in the order of the rig's cameras."""
    points: FloatArray
    """[P, 5] float32 in the ego frame (`Frame.points`)."""
    visible_fraction: FloatArray
    """[N] in [0, 1]; 0 for an actor that no sensor would see even alone."""


def sense(rig: Rig, stage: Stage, *noise_stream: int) -> Sensed:
    """Casts all rays of a rig.

    The visible fraction of an actor is the number of rays, over all cameras and the LiDAR, that
    meet it first, divided by the number that would meet it were it alone.
    """
    boxes = box_geometry.transform(stage.actors.boxes, poses.invert(stage.window_from_ego))
    images, visible, alone = [], np.zeros(len(boxes)), np.zeros(len(boxes))
    for number, camera in enumerate(rig.cameras):
        pixels = footprints.of_camera(camera, boxes)
        hits = cast(stage, camera.ego_from_camera[:3, 3], camera.rays_ego, pixels)
        images.append(render.image(camera, hits, stage, *noise_stream, number))
        visible, alone = visible + _first(hits), alone + hits.alone
    beams = footprints.of_lidar(rig.lidar, boxes)
    hits = cast(stage, rig.lidar.position_ego_m, rig.lidar.rays_ego, beams)
    visible, alone = visible + _first(hits), alone + hits.alone
    points = render.points(hits, rig.lidar, stage)
    return Sensed(tuple(images), points, visible / np.maximum(alone, 1))


def _first(hits: Hits) -> IntArray:
    """Rays [N] that meet each actor first."""
    return np.bincount(hits.actor[hits.actor >= 0], minlength=len(hits.alone))
