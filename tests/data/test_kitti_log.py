"""KITTI's formulas: a vehicle that climbs, turns and leans, with sensors that are mounted askew, in
both layouts. Each result is compared with a slow twin, written from KITTI's development kits."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.data.kitti_reader import open_logs
from leapai.data.log import OpenOptions
from leapai.geometry import poses
from tests.data.test_kitti import FORWARD, IMU_M, RADIUS_M, SIZE_PX, row, with_translation
from tests.data.test_kitti_raw import Drive

OXTS = np.array([
    [49.0, 8.4, 110.0, 0.05, -0.06, 0.1],
    [49.0, 8.40001, 110.2, -0.04, 0.05, 0.2],
    [49.00001, 8.400012, 110.3, 0.03, 0.08, 0.35],
    [49.00002, 8.400012, 110.1, 0.06, -0.03, 0.5],
])  # fmt: skip
"""Latitude, longitude, altitude, roll, pitch, yaw: a leg to the east, then one to the north."""
FRAMES = range(len(OXTS))
STEP_S = 0.1


def rotation(roll, pitch, yaw):
    """Returns Rz(yaw) Ry(pitch) Rx(roll)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


CAMERA_FROM_LIDAR = with_translation(FORWARD @ rotation(0.03, 0.02, -0.05), [0.1, -0.08, -0.3])
LIDAR_FROM_IMU = with_translation(rotation(0.06, -0.08, 0.7), [-0.8, 0.3, -0.82])
R_RECT = rotation(0.04, -0.03, 0.05)
P = {
    "2": np.array([[70, 0, 61, 4.4], [0, 72, 19, -0.2], [0, 0, 1, 0.003]]),
    "3": np.array([[71, 0, 59, -33.0], [0, 69, 21, 0.3], [0, 0, 1, 0.002]]),
}
IMU_ABOVE_EGO_M = np.array([0, 0, IMU_M])
LIDAR_POINT_M = np.array([9.2, 2.0, -0.73])
SWEEP = np.array([[*LIDAR_POINT_M, 0.5]] * 4, "<f4")
CAR_HWL, WALKER_HWL = (1.5, 1.6, 4.0), (1.8, 0.6, 0.7)
IN_LIDAR = [(np.array([18 - 0.3 * i, 4 + 0.1 * i, -1.6]), 0.4 + 1.5 * i) for i in FRAMES]
"""Place on the ground and turn of the car in each frame, in the axes of the LiDAR."""
IN_RECT = [(np.array([3 - 0.1 * i, 1.7, 19 + 0.2 * i]), -1.2 + 1.5 * i) for i in FRAMES]
"""The same in those of the rectified camera."""


def imu_in_global(frame):
    """Returns rotation and translation of the inertial unit, as convertOxtsToPose does."""
    latitude, longitude, altitude, roll, pitch, yaw = OXTS[frame]
    scale = np.cos(OXTS[0, 0] * np.pi / 180)
    x = scale * longitude * np.pi * RADIUS_M / 180
    y = scale * RADIUS_M * np.log(np.tan((90 + latitude) * np.pi / 360))
    return rotation(roll, pitch, yaw), np.array([x, y, altitude])


def applied(rows, point):
    """Returns R point + t of a matrix [R | t]."""
    return rows[:, :3] @ point + rows[:, 3]


def unapplied(rows, point):
    return np.linalg.inv(rows[:, :3]) @ (point - rows[:, 3])


def ego_of_lidar(point):
    return unapplied(LIDAR_FROM_IMU, point) + IMU_ABOVE_EGO_M


def ego_of_rect(point):
    return ego_of_lidar(unapplied(CAMERA_FROM_LIDAR, np.linalg.inv(R_RECT) @ point))


def global_of_ego(frame, point):
    turned, origin = imu_in_global(frame)
    return turned @ (point - IMU_ABOVE_EGO_M) + origin


def lidar_corners(hwl, place, turn):
    """Returns the four corners at the rear and those at the front, as run_demoTracklets does."""
    h, w, length = hwl
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0],
                        [0, 0, 1]])  # fmt: skip
    return [
        [about_z @ [x, y, z] + place for y in (-w / 2, w / 2) for z in (0, h)]
        for x in (-length / 2, length / 2)
    ]


def rect_corners(hwl, place, turn):
    """Returns the same of a box in the axes of the camera, as computeBox3D does."""
    h, w, length = hwl
    about_y = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0],
                        [-np.sin(turn), 0, np.cos(turn)]])  # fmt: skip
    return [
        [about_y @ [x, y, z] + place for y in (0, -h) for z in (-w / 2, w / 2)]
        for x in (-length / 2, length / 2)
    ]


class Raw:
    ego_of, corners, objects = staticmethod(ego_of_lidar), staticmethod(lidar_corners), IN_LIDAR

    def __init__(self, root):
        drive = Drive(root)
        self.folder, self.tracks = drive.folder, [0, 1]
        images = [row(f"P_rect_0{name}", p) for name, p in P.items()]
        sizes = [row(f"S_rect_0{name}", SIZE_PX[::-1]) for name in P]
        drive.calibration("cam_to_cam", [row("R_rect_00", R_RECT), *images, *sizes])
        for name, rows in (("velo_to_cam", CAMERA_FROM_LIDAR), ("imu_to_velo", LIDAR_FROM_IMU)):
            drive.calibration(name, [row("R", rows[:, :3]), row("T", rows[:, 3])])
        for i, values in enumerate(OXTS.tolist()):
            text = " ".join(map(repr, [*values, *[0.0] * 24]))
            (drive.folder / f"oxts/data/{i:010}.txt").write_text(text + "\n")
            SWEEP.tofile(drive.folder / f"velodyne_points/data/{i:010}.bin")
        at = [drive.pose_in_lidar(*placed, 0) for placed in IN_LIDAR]
        car, walker = ("Car", CAR_HWL, at), ("Pedestrian", WALKER_HWL, at[1:3])
        drive.tracklets([drive.tracklet(*car), drive.tracklet(*walker, first=1)])


class Benchmark:
    ego_of, corners, objects = staticmethod(ego_of_rect), staticmethod(rect_corners), IN_RECT

    def __init__(self, root):
        sequence = Drive(root).source
        self.folder, self.tracks = sequence.split, [5, 6]
        sequence.write("calib", [
            *(row(f"P{name}", p) for name, p in P.items()), row("R_rect", R_RECT, ""),
            row("Tr_velo_cam", CAMERA_FROM_LIDAR, ""), row("Tr_imu_velo", LIDAR_FROM_IMU, ""),
        ])  # fmt: skip
        sequence.write("oxts", [" ".join(map(repr, [*v, *[0.0] * 24])) for v in OXTS.tolist()])
        for i in FRAMES:
            SWEEP.tofile(sequence.split / f"velodyne/0000/{i:06}.bin")
        objects = [(i, 5, "Car", CAR_HWL) for i in FRAMES]
        objects += [(i, 6, "Pedestrian", WALKER_HWL) for i in (1, 2)]
        sequence.write("label_02", [
            f"{i} {track} {word} 0 0 0.1 1 2 3 4 "
            + " ".join(map(str, [*hwl, *IN_RECT[i][0], IN_RECT[i][1]]))
            for i, track, word, hwl in objects
        ])  # fmt: skip


@pytest.fixture(params=[Raw, Benchmark])
def layout(request, tmp_path):
    return request.param(tmp_path)


def opened(layout):
    return open_logs(str(layout.folder), OpenOptions(SIZE_PX))[0]


def test_poses_are_those_of_the_development_kit(layout):
    log = opened(layout)
    for i in FRAMES:
        pose = log.ground_truth(i).ego2global
        np.testing.assert_allclose(pose[:3, :3], imu_in_global(i)[0], atol=1e-9)
        np.testing.assert_allclose(pose[:3, 3], global_of_ego(i, np.zeros(3)), atol=1e-6)


def test_points_are_seen_where_the_development_kit_projects_them(layout):
    frame = opened(layout)[2]
    np.testing.assert_allclose(frame.points[0, :3], ego_of_lidar(LIDAR_POINT_M), atol=1e-5)
    rng = np.random.default_rng(0)
    for camera, p in zip(frame.cameras, P.values(), strict=True):
        for lidar_m in rng.uniform([5, -5, -2], [30, 5, 2], (20, 3)):
            rect_m = R_RECT @ applied(CAMERA_FROM_LIDAR, lidar_m)
            expected = applied(p, rect_m)
            in_ego = ego_of_lidar(lidar_m)
            in_camera = poses.apply(poses.invert(camera.ego_from_camera), in_ego[None])[0]
            pixel = camera.intrinsics @ in_camera
            np.testing.assert_allclose(pixel / pixel[2], expected / expected[2], atol=1e-6)


def test_boxes_are_those_of_the_development_kit(layout):
    log = opened(layout)
    for i in FRAMES:
        labels = log.ground_truth(i).labels
        sizes = [CAR_HWL, WALKER_HWL][: 2 if i in (1, 2) else 1]
        assert labels.track_id.tolist() == layout.tracks[: len(sizes)]
        for box, hwl in zip(labels.boxes, sizes, strict=True):
            rear, front = (
                np.mean([layout.ego_of(corner) for corner in corners], axis=0)
                for corners in layout.corners(hwl, *layout.objects[i])
            )
            ahead = front - rear
            np.testing.assert_allclose(box[:3], (rear + front) / 2, atol=1e-5)
            np.testing.assert_allclose(box[3:6], hwl[::-1], atol=1e-6)
            np.testing.assert_allclose(
                [np.cos(box[6]), np.sin(box[6])], ahead[:2] / np.hypot(*ahead[:2]), atol=1e-6
            )


def test_velocities_are_differences_of_places_in_the_world(layout):
    log = opened(layout)
    in_world = [
        global_of_ego(i, np.mean([
            layout.ego_of(corner)
            for corners in layout.corners(CAR_HWL, *layout.objects[i]) for corner in corners
        ], axis=0)) for i in FRAMES
    ]  # fmt: skip
    for i in FRAMES:
        first, last = max(i - 1, 0), min(i + 1, FRAMES[-1])
        velocity = (in_world[last] - in_world[first]) / (STEP_S * (last - first))
        labels = log.ground_truth(i).labels
        assert labels.velocity_valid.all()
        expected = np.linalg.inv(imu_in_global(i)[0]) @ velocity
        np.testing.assert_allclose(labels.velocity_mps[0], expected, atol=1e-4)
