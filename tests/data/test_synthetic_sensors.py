"""The sensors of the embedded world: each ray at its own time, visibility by rays, noise."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.data.synthetic import footprints, meshes, shapes
from leapai.data.synthetic.casting import Gallery, Light, Solids, Stage, cast
from leapai.data.synthetic.instants import Course
from leapai.data.synthetic.rig import Rig
from leapai.data.synthetic.sensing import sense
from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras, poses
from leapai.types import CLASS_NAMES

PERSON, BUS = CLASS_NAMES.index("person"), CLASS_NAMES.index("bus")
LIGHT = Light(
    to_sun=np.array([0.0, 0.6, 0.8]),
    sun=np.ones(3),
    ambient=np.full(3, 0.5),
    zenith=np.array([0.4, 0.6, 0.9]),
    horizon=np.array([0.8, 0.9, 0.9]),
    haze_m=300.0,
)


@pytest.fixture(scope="module")
def rig():
    return Rig.seven_cameras((128, 240), 32)


def staged(boxes: np.ndarray, classes: list[int]) -> Stage:
    """Bodies on an endless plain, the ego at the origin."""
    plain = np.array([[[-200.0, -200, 0], [200, -200, 0], [200, 200, 0], [-200, 200, 0]]])
    ground = meshes.surface(meshes.quads(plain), meshes.Material((0.5, 0.5, 0.5)))
    return Stage(
        scenery=Solids(ground, LIGHT),
        gallery=Gallery(shapes.prototypes()),
        shape=np.array(classes) * shapes.VARIANTS,
        course=Course.still(np.eye(4), boxes),
        moves=np.ones(len(boxes), bool),
        shadows=(),
        anchor_m=np.zeros(3),
        light=LIGHT,
    )


def visible(rig: Rig, boxes: list[list[float]], classes: list[int]) -> list[float]:
    return sense(rig, staged(np.array(boxes), classes), 0).visible_fraction.tolist()


def test_a_person_alone_is_seen_and_behind_a_bus_is_not(rig):
    person = [15.0, 5.0, 0.95, 0.6, 0.6, 1.8, 0.3]
    bus = [11.0, 4.0, 1.61, 11.4, 2.6, 3.2, 1.4]
    assert visible(rig, [person], [PERSON]) == [1.0]
    hidden, in_front = visible(rig, [person, bus], [PERSON, BUS])
    assert hidden < 0.02
    assert in_front == 1.0


def test_a_person_half_behind_another_is_partly_seen(rig):
    boxes = [[20.0, 0.25, 0.95, 0.6, 0.6, 1.8, 0.0], [10.0, 0.0, 0.95, 0.6, 0.6, 1.8, 0.0]]
    far, near = visible(rig, boxes, [PERSON, PERSON])
    assert 0.1 < far < 0.8
    assert near == 1.0


def test_what_lies_out_of_sight_has_no_visible_fraction(rig):
    below = [20.0, 0.0, -5.0, 0.6, 0.6, 1.8, 0.0]
    assert visible(rig, [below], [PERSON]) == [0.0]


def test_visibility_equals_a_second_cast_with_the_object_alone(rig):
    """The slow twin: every actor alone in the scene, all rays of all sensors."""
    rng = np.random.default_rng(4)
    classes = [0, 1, 3, 3, 4, 5, 6, 7, 0, 3]
    place = np.stack([np.linspace(4, 40, 10), rng.uniform(-6, 6, 10)], -1)
    size = np.array([shapes.draw_size(c, rng) for c in classes])
    height = 0.01 + size[:, 2:] / 2
    boxes = np.concatenate([place, height, size, rng.uniform(-3, 3, (10, 1))], 1)
    stage = staged(boxes, classes)
    prototypes = shapes.prototypes()
    for sensor in (*rig.cameras, rig.lidar):
        is_lidar = sensor is rig.lidar
        if is_lidar:
            instants, found = stage.course.at(sensor.dt_s), footprints.of_lidar(sensor, boxes[None])
        else:
            instants, found = stage.course.at(0.0), footprints.of_camera(sensor, boxes)
        hits, origin = cast(stage, instants, sensor, found), sensor.position_ego_m
        origins = np.broadcast_to(origin.astype(np.float32), sensor.rays_ego.shape).copy()
        nearest, owner = stage.scenery.first_hit(origins, sensor.rays_ego)
        owner = np.full_like(owner, -1)
        for i, (box, class_id) in enumerate(zip(boxes, classes, strict=True)):
            mesh = prototypes[class_id * shapes.VARIANTS].fitted(box[3:6])
            alone = Solids(mesh.turned(box[6], box[:3]), LIGHT)
            distance, triangle = alone.first_hit(origins, sensor.rays_ego)
            assert abs(int((triangle >= 0).sum()) - int(hits.alone[i])) <= 2
            closer = distance < nearest
            nearest[closer], owner[closer] = distance[closer], i
        assert (owner != hits.actor).mean() < 1e-3
        both = np.isfinite(nearest) & (owner == hits.actor)
        assert np.abs(nearest[both] - hits.distance_m[both]).max() < 2e-3


def test_a_box_covers_the_pixels_of_its_body(rig):
    boxes = np.array([[12.0, 2.0, 0.85, 4.6, 1.9, 1.6, 0.7]])
    stage = staged(boxes, [0])
    seen_by = 0
    for camera in rig.cameras:
        everywhere = np.arange(len(camera.rays_ego))
        hits = cast(stage, stage.course.at(0.0), camera, [everywhere])
        v, u = np.divmod(np.flatnonzero(hits.actor == 0), camera.size_px[1])
        if not len(u):
            continue
        seen_by += 1
        corners = poses.apply(poses.invert(camera.ego_from_camera), box_geometry.corners(boxes)[0])
        edges = np.array(box_geometry.EDGES)
        steps = np.linspace(0, 1, 20)[:, None, None]
        outline = corners[edges[:, 0]] * (1 - steps) + corners[edges[:, 1]] * steps
        pixels, depth = cameras.project(
            outline.reshape(-1, 3), camera.intrinsics, camera.distortion
        )
        pixels = pixels[depth > 0.1]
        for got, drawn in ((u, pixels[:, 0]), (v, pixels[:, 1])):
            assert got.min() >= np.nanmin(drawn) - 1
            assert got.max() <= np.nanmax(drawn) + 1
        inside = np.isin(everywhere[hits.actor == 0], footprints.of_camera(camera, boxes)[0])
        assert inside.all()
    assert seen_by >= 2
