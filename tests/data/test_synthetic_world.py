"""The parts of the embedded world: bodies that keep apart, boxes that fit, visibility by rays."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Polygon
from shapely.strtree import STRtree

from leapai.data.synthetic import footprints, meshes, shapes
from leapai.data.synthetic.casting import Actors, Gallery, Light, Solids, Stage, cast
from leapai.data.synthetic.drive import LABEL_RANGE_M, SyntheticDrive
from leapai.data.synthetic.rig import Rig
from leapai.data.synthetic.sensing import sense
from leapai.data.synthetic.street import Street
from leapai.data.synthetic.traffic import (
    EGO_HALF_LENGTH_M,
    EGO_HALF_WIDTH_M,
    EGO_REAR_AXLE_M,
    Traffic,
)
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
        actors=Actors(boxes, np.array(classes) * shapes.VARIANTS),
        shadows=(),
        window_from_ego=np.eye(4),
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
        origin = sensor.position_ego_m if is_lidar else sensor.ego_from_camera[:3, 3]
        find = footprints.of_lidar if is_lidar else footprints.of_camera
        hits = cast(stage, origin, sensor.rays_ego, find(sensor, boxes))
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


@pytest.mark.parametrize("class_id", range(len(CLASS_NAMES)))
def test_boxes_hold_their_meshes_tightly_and_are_not_boxes(class_id):
    for variant in range(shapes.VARIANTS):
        mesh = shapes.prototypes()[class_id * shapes.VARIANTS + variant]
        low, high = mesh.extent()
        assert np.allclose(low, -0.5)
        assert np.allclose(high, 0.5)
        assert len(mesh) > 12
        volume = np.linalg.det(mesh.triangles_m).sum() / 6
        assert 0.005 < volume < 0.95


def test_a_box_covers_the_pixels_of_its_body(rig):
    boxes = np.array([[12.0, 2.0, 0.85, 4.6, 1.9, 1.6, 0.7]])
    stage = staged(boxes, [0])
    seen_by = 0
    for camera in rig.cameras:
        everywhere = np.arange(len(camera.rays_ego))
        hits = cast(stage, camera.ego_from_camera[:3, 3], camera.rays_ego, [everywhere])
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


@pytest.mark.parametrize("seed", range(6))
def test_nobody_passes_through_anybody(seed):
    duration_s = 6.0
    street = Street(seed, 15 * duration_s)
    traffic = Traffic(street, duration_s)
    for time_s in np.arange(0.0, duration_s, 0.25):
        motion, ego = traffic.motion(time_s), traffic.ego(time_s)
        size = np.concatenate(
            [traffic.size_m, [[2 * EGO_HALF_LENGTH_M, 2 * EGO_HALF_WIDTH_M, 1.5]]]
        )
        heading = np.concatenate([motion.heading_rad, ego.heading_rad])
        tangent = np.array([*Street.tangent(ego.heading_rad[0]), 0.0])
        position = np.concatenate([motion.position_m, ego.position_m + EGO_REAR_AXLE_M * tangent])
        boxes = np.concatenate([position, size, heading[:, None]], 1)
        outlines = [Polygon(p) for p in box_geometry.corners_bev(boxes)]
        first, second = STRtree(outlines).query(outlines, predicate="intersects")
        touching = [(i, j) for i, j in zip(first, second, strict=True) if i < j]
        assert not touching, (time_s, touching)


def test_some_people_cross_the_street():
    crossing = 0
    for seed in range(6):
        traffic = Traffic(Street(seed, 90.0), 6.0)
        crossing += sum(actor.path.crossing_m != 0 for actor in traffic.actors)
    assert crossing >= 6


def test_the_ego_varies_its_speed():
    traffic = Traffic(Street(1, 150.0), 10.0)
    speed = [np.linalg.norm(traffic.ego(t).velocity_mps) for t in np.arange(0, 10, 0.5)]
    assert max(speed) - min(speed) > 1.0
    assert min(speed) > 0


def test_labels_cover_the_bev_range_whether_seen_or_not(rig):
    log = SyntheticDrive(2, 3, 10.0, rig)
    labels = log[1].labels
    assert (labels.visible_fraction == 0).any()
    assert LABEL_RANGE_M == ((-40.0, 62.4), (-44.8, 44.8))
