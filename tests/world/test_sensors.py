"""The sensors of the embedded world: each ray at its own time, visibility by rays, noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leapai.data.log import OpenOptions
from leapai.geometry import boxes as box_geometry
from leapai.geometry import cameras, poses
from leapai.types import CLASS_NAMES
from leapai_world import meshes, open_logs
from leapai_world.actors import shapes
from leapai_world.sensors import footprints, headlights
from leapai_world.sensors.instants import SAMPLES_S, FramePaths
from leapai_world.sensors.light import Light
from leapai_world.sensors.mesh_library import MeshLibrary
from leapai_world.sensors.ray_casting import Scene, cast_rays
from leapai_world.sensors.rig import Camera, Rig, camera_rays
from leapai_world.sensors.sensing import sense, visibility
from leapai_world.sensors.solids import Solids

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


def scene_of(boxes: np.ndarray, classes: list[int]) -> Scene:
    """Bodies on an endless plain, the ego at the origin."""
    plain = np.array([[[-200.0, -200, 0], [200, -200, 0], [200, 200, 0], [-200, 200, 0]]])
    ground = meshes.surface(meshes.quads(plain), meshes.Material((0.5, 0.5, 0.5), 0.3))
    return Scene(
        scenery=Solids(ground, LIGHT),
        library=MeshLibrary(shapes.prototypes()),
        shape=np.array(classes, int) * shapes.VARIANTS,
        paths=FramePaths.still(np.eye(4), boxes),
        own_colours=np.full((len(boxes), 3, 3), 0.5, np.float32),
        own_reflectivities=np.full((len(boxes), 3), 0.3, np.float32),
        moves=np.ones(len(boxes), bool),
        shadows=(),
        anchor_m=np.zeros(3),
        light=LIGHT,
    )


def visible(rig: Rig, boxes: list[list[float]], classes: list[int]) -> list[float]:
    return sense(rig, scene_of(np.array(boxes), classes), 0).visible_fraction.tolist()


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
    """Compares with the slow twin: every actor by itself in the scene, all rays of all sensors."""
    rng = np.random.default_rng(4)
    classes = [0, 1, 3, 3, 4, 5, 6, 7, 0, 3]
    place = np.stack([np.linspace(4, 40, 10), rng.uniform(-6, 6, 10)], -1)
    size = np.array([shapes.draw_size(c, rng) for c in classes])
    height = 0.01 + size[:, 2:] / 2
    boxes = np.concatenate([place, height, size, rng.uniform(-3, 3, (10, 1))], 1)
    scene = scene_of(boxes, classes)
    prototypes = shapes.prototypes()
    for sensor in (*rig.cameras, rig.lidar):
        is_lidar = sensor is rig.lidar
        if is_lidar:
            instants, found = scene.paths.at(sensor.dt_s), footprints.of_lidar(sensor, boxes[None])
        else:
            instants, found = scene.paths.at(0.0), footprints.of_camera(sensor, boxes)
        hits, origin = cast_rays(scene, instants, sensor, found), sensor.position_ego_m
        origins = np.broadcast_to(origin.astype(np.float32), sensor.rays_ego.shape).copy()
        far = np.full(len(origins), np.inf, np.float32)
        nearest, owner = scene.scenery.first_hit(origins, sensor.rays_ego, far)
        owner = np.full_like(owner, -1)
        for i, (box, class_id) in enumerate(zip(boxes, classes, strict=True)):
            mesh = prototypes[class_id * shapes.VARIANTS].fitted(box[3:6])
            alone = Solids(mesh.turned(box[6], box[:3]), LIGHT)
            distance, triangle = alone.first_hit(origins, sensor.rays_ego, far)
            assert abs(int((triangle >= 0).sum()) - int(hits.unoccluded[i])) <= 2
            closer = distance < nearest
            nearest[closer], owner[closer] = distance[closer], i
        assert (owner != hits.actor).mean() < 1e-3
        both = np.isfinite(nearest) & (owner == hits.actor)
        assert np.abs(nearest[both] - hits.distance_m[both]).max() < 2e-3


def test_a_box_covers_the_pixels_of_its_body(rig):
    boxes = np.array([[12.0, 2.0, 0.85, 4.6, 1.9, 1.6, 0.7]])
    scene = scene_of(boxes, [0])
    seen_by = 0
    for camera in rig.cameras:
        everywhere = np.arange(len(camera.rays_ego))
        hits = cast_rays(scene, scene.paths.at(0.0), camera, [everywhere])
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


def passing_by() -> tuple[Scene, np.ndarray]:
    """The ego at 12 m/s in a bend, a car that overtakes it at 30 m/s; and the car's velocity."""
    velocity = np.array([30.0, 2.0, 0.0])
    ego = poses.from_xyz_yaw(np.outer(SAMPLES_S, [12.0, 0.0, 0.0]), np.array([-0.04, -0.02, 0.0]))
    car = np.array([9.0, 3.4, 0.81, 4.6, 1.9, 1.6, 0.07])
    boxes = np.stack([[car + np.array([*(velocity * dt), 0, 0, 0, 0])] for dt in SAMPLES_S])
    scene = scene_of(boxes[-1], [0])
    return replace(scene, paths=FramePaths(ego, boxes)), velocity


def test_a_moving_car_is_in_each_image_where_it_was_at_the_exposure(rig):
    """Its mesh at its pose of that moment, projected with the camera that the frame gives."""
    scene, _ = passing_by()
    placed = sense(rig, scene, 0).ego_from_camera
    seen_by = 0
    for camera, ego_from_camera in zip(rig.cameras, placed, strict=True):
        then = scene.paths.at(camera.dt_us * 1e-6)
        boxes = box_geometry.transform(then.boxes[0], poses.invert(then.window_from_ego[0]))
        hits = cast_rays(scene, then, camera, footprints.of_camera(camera, boxes))
        u = np.flatnonzero(hits.actor == 0) % camera.size_px[1]
        drawn = column_range(camera, ego_from_camera, then.boxes[0, 0])
        if not len(u) or np.isnan(drawn).any() or drawn[0] < 0 or drawn[1] > 239:
            continue
        seen_by += 1
        assert abs(u.min() - drawn[0]) < 1
        assert abs(u.max() - drawn[1]) < 1
        late = column_range(camera, ego_from_camera, scene.paths.boxes[-1, 0])
        assert np.abs(late - drawn).max() > 4
    assert seen_by >= 1


def column_range(camera: Camera, ego_from_camera: np.ndarray, box: np.ndarray) -> np.ndarray:
    """First and last column [2] of the first car's mesh in a box [7]."""
    mesh = shapes.prototypes()[0].fitted(box[3:6]).turned(box[6], box[:3])
    points = poses.apply(poses.invert(ego_from_camera), mesh.triangles_m.reshape(-1, 3))
    u = cameras.project(points, camera.intrinsics, camera.distortion)[0][:, 0]
    return np.array([u.min(), u.max()])


def test_returns_from_a_moving_car_lie_on_it_at_their_own_times(rig):
    scene, velocity = passing_by()
    points = sense(rig, scene, 0).points
    car = scene.paths.boxes[-1]
    on_it = points[(points[:, 2] > 0.1) & (np.abs(points[:, 1]) < 10)].astype(np.float64)
    assert len(on_it) > 100
    assert not box_geometry.points_inside(on_it[:, :3], car)[0].all()
    at_frame = on_it[:, :3] - on_it[:, 4:] * velocity
    slack = car + np.array([0, 0, 0, 0.15, 0.15, 0.15, 0])
    assert box_geometry.points_inside(at_frame, slack)[0].all()


def test_footprints_of_the_lidar_hold_every_ray_that_meets_who_moves(rig):
    """The slow twin: every ray is tried on every actor."""
    scene, _ = passing_by()
    samples = scene.paths.at(np.array(SAMPLES_S))
    in_ego = [
        box_geometry.transform(boxes, poses.invert(pose))
        for boxes, pose in zip(samples.boxes, samples.window_from_ego, strict=True)
    ]
    sweep = scene.paths.at(rig.lidar.dt_s)
    found = cast_rays(scene, sweep, rig.lidar, footprints.of_lidar(rig.lidar, np.stack(in_ego)))
    everywhere = cast_rays(scene, sweep, rig.lidar, [np.arange(len(rig.lidar.rays_ego))])
    assert found.unoccluded[0] == everywhere.unoccluded[0] > 100
    assert np.array_equal(found.actor, everywhere.actor)


def test_blur_smears_what_moves_and_nothing_else(rig):
    standing = scene_of(np.array([[9.0, 3.4, 0.81, 4.6, 1.9, 1.6, 0.07]]), [0])
    moving, _ = passing_by()
    for scene, is_smeared in ((standing, False), (moving, True)):
        sharp, smeared = (
            sense(replace(rig, blur=blur), scene, 0).images[1].astype(int) for blur in (False, True)
        )
        assert (np.abs(sharp - smeared).max() > 30) == is_smeared
        assert np.abs(sharp.mean() - smeared.mean()) < 3


def wall(material: meshes.Material) -> Scene:
    """Nothing but a plane 20 m ahead."""
    plane = np.array([[[20.0, -50, -50], [20, 50, -50], [20, 50, 50], [20, -50, 50]]])
    scene = scene_of(np.zeros((0, 7)), [])
    mesh = meshes.surface(meshes.quads(plane), material)
    return replace(scene, scenery=Solids(mesh, LIGHT))


def test_ranges_are_noisy_and_a_few_returns_are_lost(rig):
    points = sense(rig, wall(meshes.Material((0.5, 0.5, 0.5), 0.5)), 0).points.astype(np.float64)
    from_lidar = points[:, :3] - rig.lidar.position_ego_m
    exact = 20.0 - rig.lidar.position_ego_m[0]
    off = np.linalg.norm(from_lidar, axis=1) * (1 - exact / from_lidar[:, 0])
    assert abs(off.mean()) < 0.001
    assert 0.018 < off.std() < 0.022
    rays = rig.lidar.rays_ego
    at = rays[:, 1:] / np.where(rays[:, :1] > 0, rays[:, :1], np.nan) * exact
    expected = (np.abs(at[:, 0]) < 50).sum()
    assert 0.985 < len(points) / expected < 1.0


def test_glass_gives_no_return(rig):
    assert len(sense(rig, wall(meshes.Material((0.5, 0.5, 0.5), 0.5, texture=meshes.GLASS)), 0).points) == 0
    scene = scene_of(np.array([[8.0, 0.0, 0.81, 4.6, 1.9, 1.6, 1.2]]), [0])
    boxes = scene.paths.boxes
    hits = cast_rays(
        scene, scene.paths.at(rig.lidar.dt_s), rig.lidar, footprints.of_lidar(rig.lidar, boxes)
    )
    texture = scene.library.texture[hits.triangle[hits.actor == 0]]
    solid = int((texture != meshes.GLASS).sum())
    slack = boxes[-1] + [0, 0, 0, 0.2, 0.2, 0.2, 0]
    returned = points_above_ground(sense(rig, scene, 0).points, slack)
    assert (texture == meshes.GLASS).sum() > 20
    assert 0.85 * solid < returned <= solid


def points_above_ground(points: np.ndarray, box: np.ndarray) -> int:
    return int(box_geometry.points_inside(points[points[:, 2] > 0.04, :3], box).sum())


def test_visibility_is_told_for_each_camera(rig):
    scene = scene_of(np.array([[15.0, 0.0, 0.95, 0.6, 0.6, 1.8, 0.0]]), [PERSON])
    seen = dict(zip((c.name for c in rig.cameras), visibility(rig, scene)[0], strict=True))
    assert seen["front_wide"] == seen["front_narrow"] == 1.0
    assert seen["back"] == seen["back_left"] == 0.0


@pytest.mark.parametrize("size_px", [(128, 240), (512, 960)])
def test_rays_are_those_of_the_camera_model(size_px):
    """The slow twin: every pixel sent back through the lens by itself."""
    for camera in Rig.seven_cameras(size_px, 2).cameras[:2]:
        exact = cameras.pixel_rays(camera.intrinsics, camera.distortion, size_px).reshape(-1, 3)
        quick = camera_rays(camera.intrinsics, camera.distortion, size_px)
        assert np.abs(quick - exact).max() * camera.intrinsics[0, 0] < 2e-3


@pytest.fixture(scope="module")
def log():
    return open_logs("seed=5,frames=12,beams=16", OpenOptions((32, 60)))[0]


def test_raw_points_compensated_by_hand_are_the_points_of_the_frame(log):
    frame, raw = log[7], log.raw_points(7).astype(np.float64)
    assert len(raw) == len(frame.points)
    assert np.array_equal(raw[:, 3:].astype(np.float32), frame.points[:, 3:])
    assert np.abs(raw[:, :3] - frame.points[:, :3]).max() > 0.1
    now_from_global = poses.invert(frame.ego2global)
    for dt in np.unique(raw[:, 4]):
        at = raw[:, 4] == dt
        then = log.ego2global_at(frame.timestamp_us + round(dt * 1e6))
        by_hand = poses.apply(now_from_global @ then, raw[at, :3])
        assert np.abs(by_hand - frame.points[at, :3]).max() < 1e-3


def test_cameras_stand_where_the_ego_was_at_their_exposure(log):
    frame, rig = log[7], Rig.seven_cameras((32, 60), 16)
    offsets = [camera.timestamp_us - frame.timestamp_us for camera in frame.cameras]
    assert min(offsets) >= -100_000
    assert max(offsets) <= 0
    assert len(set(offsets)) == 6  # Both front cameras look the same way.
    for camera, mounted in zip(frame.cameras, rig.cameras, strict=True):
        then = log.ego2global_at(camera.timestamp_us)
        expected = poses.invert(frame.ego2global) @ then @ mounted.ego_from_camera
        assert np.abs(camera.ego_from_camera - expected).max() < 1e-3


def test_a_drive_tells_the_visibility_of_its_labels(log):
    labels, seen = log[7].labels, log.visibility(7)
    assert seen.shape == (len(labels), 7)
    assert ((seen >= 0) & (seen <= 1)).all()
    assert seen[labels.visible_fraction == 0].max() == 0
    assert (seen.max(1)[labels.visible_fraction == 1] == 1).mean() > 0.5


def test_headlights_light_the_road_ahead_by_night_alone():
    night = replace(LIGHT, sun=np.full(3, 0.1), ambient=np.full(3, 0.3))
    places = np.array([[12.0, 0, 0], [12, 0, 3], [12, 12, 0], [-12, 0, 0]], np.float32).T
    towards = -places / np.linalg.norm(places, axis=0)
    road, above, beside, behind = headlights.brightness(places, towards, np.eye(4), night)[0]
    assert road > 0.3
    assert max(above, beside) < 0.5 * road
    assert behind == 0
    assert headlights.darkness(LIGHT) == 0
