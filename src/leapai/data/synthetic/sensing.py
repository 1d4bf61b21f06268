"""One instant through all sensors: images, points, and how visible each actor is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leapai.data.synthetic import render, truth
from leapai.data.synthetic.casting import Light, Solids, Stage, cast
from leapai.data.synthetic.meshes import NOTHING, Mesh, joined
from leapai.data.synthetic.rig import Rig
from leapai.geometry import boxes as box_geometry
from leapai.geometry import poses
from leapai.types import FloatArray, ImageArray


@dataclass(frozen=True)
class Sensed:
    """What the sensors of a rig give."""

    images: tuple[ImageArray, ...]
    """RGB [H, W, 3], in the order of the rig's cameras."""
    points: FloatArray
    """[P, 5] float32 in the ego frame (`Frame.points`)."""
    visible_fraction: FloatArray
    """[N] in [0, 1]; 0 for an actor that no sensor would see even alone."""


def set_stage(
    scenery: Solids, meshes: Sequence[Mesh], boxes: FloatArray, pose: tuple[FloatArray, FloatArray],
    light: Light,
) -> Stage:  # fmt: skip
    """Puts meshes (box axes) where boxes [N, 7] of the window frame are.

    `pose` is (`window_from_ego` [4, 4], origin of the window frame in the local frame [3]).
    """
    placed = [
        mesh.turned(box[6], box[:3]) for mesh, box in zip(meshes, boxes, strict=True)
    ]
    actors = Solids(joined(placed) if placed else NOTHING, light)
    owner = np.repeat(np.arange(len(placed)), [len(mesh) for mesh in placed]).astype(np.int32)
    return Stage(scenery, actors, owner, *pose, light)


def sense(rig: Rig, stage: Stage, boxes: FloatArray, *noise_stream: int) -> Sensed:
    """Casts all rays of a rig; `boxes` [N, 7] are the actors' in the window frame."""
    boxes_ego = box_geometry.transform(boxes, poses.invert(stage.window_from_ego))
    visible, alone = np.zeros((2, len(boxes)), np.int64)
    images = []
    for number, camera in enumerate(rig.cameras):
        hits = cast(stage, camera.ego_from_camera[:3, 3], camera.rays_ego)
        images.append(render.image(camera, hits, stage, *noise_stream, number))
        candidates = truth.camera_candidates(camera, boxes_ego)
        counts = truth.visible_of_alone(hits, candidates, boxes, stage)
        visible, alone = visible + counts[0], alone + counts[1]
    lidar = rig.lidar
    hits = cast(stage, lidar.position_ego_m, lidar.rays_ego)
    candidates = truth.lidar_candidates(lidar, boxes_ego)
    counts = truth.visible_of_alone(hits, candidates, boxes, stage)
    visible, alone = visible + counts[0], alone + counts[1]
    points = render.points(hits, lidar, stage)
    return Sensed(tuple(images), points, visible / np.maximum(alone, 1))
