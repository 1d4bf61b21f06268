"""Writes a log with the writer of py123d itself; only where py123d is installed."""

from __future__ import annotations

import numpy as np
from py123d.api.scene.arrow.arrow_log_writer import ArrowLogWriter
from py123d.api.scene.arrow.utils.log_writer_config import LogWriterConfig
from py123d.datatypes import (
    BoxDetectionAttributes,
    BoxDetectionSE3,
    BoxDetectionsSE3,
    BoxDetectionsSE3Metadata,
    Camera,
    CameraID,
    EgoStateSE3,
    EgoStateSE3Metadata,
    Lidar,
    LidarID,
    LidarMergedMetadata,
    LidarMetadata,
    LogMetadata,
    PinholeCameraMetadata,
    PinholeDistortion,
    PinholeIntrinsics,
    Timestamp,
)
from py123d.geometry import BoundingBoxSE3, PoseSE3, Vector3D
from py123d.parser.base_dataset_parser import ModalitiesSync
from py123d.parser.registry import AV2SensorBoxDetectionLabel

from leapai.data.argoverse2.argoverse2_classes import CATEGORIES
from leapai.geometry import poses
from tests.data.py123d.arrow_layout import CAMERA_IDS, HEIGHT_M, row_of, sweep_columns


def pose(matrix):
    return PoseSE3.from_list(row_of(matrix))


EGO = EgoStateSE3Metadata(
    *("made up", 1.9, 4.8, HEIGHT_M, 2.8),
    center_to_imu_se3=pose(poses.from_xyz_yaw(np.array([1.4, 0, HEIGHT_M / 2]), 0.0)),
    rear_axle_to_imu_se3=PoseSE3.identity(),
)
BOXES = BoxDetectionsSE3Metadata(AV2SensorBoxDetectionLabel)
LIDAR = LidarMergedMetadata({LidarID.LIDAR_TOP: LidarMetadata("top", LidarID.LIDAR_TOP)})


def write_log(root, frames, camera, codec):
    """Writes frames as the log `root/made-up_val/one`, with its codecs of images and points."""
    config = LogWriterConfig(
        camera_store_option=camera, lidar_store_option="binary", lidar_codec=codec
    )
    writer = ArrowLogWriter(config, root, root)
    writer.reset(LogMetadata("made-up", "made-up_val", "one", None))
    for frame in frames:
        time = Timestamp.from_us(frame.timestamp_us)
        writer.write_sync(ModalitiesSync(time, [
            EgoStateSE3.from_imu(pose(frame.ego2global), EGO, time),
            boxes(frame, time), sweep(frame, time), *images(frame),
        ]))  # fmt: skip
    writer.close()
    return root / "made-up_val" / "one"


def boxes(frame, time):
    labels = frame.labels
    placed = frame.ego2global @ poses.from_xyz_yaw(labels.boxes[:, :3], labels.boxes[:, 6])
    velocity = poses.rotate(frame.ego2global, labels.velocity_mps)
    return BoxDetectionsSE3([
        BoxDetectionSE3(
            BoxDetectionAttributes(
                AV2SensorBoxDetectionLabel[CATEGORIES[labels.vocabulary.names[labels.class_id[i]]]],
                f"object-{labels.track_id[i]:04}", int(labels.num_lidar_points[i]),
            ),
            BoundingBoxSE3(pose(placed[i]), *labels.boxes[i, 3:6].tolist()),
            Vector3D(*velocity[i].tolist()),
        ) for i in range(len(labels))
    ], time, BOXES)  # fmt: skip


def sweep(frame, time):
    features = sweep_columns(frame, np.eye(4))
    xyz = np.stack([features.pop(axis) for axis in "xyz"], -1)
    return Lidar(time, time, LIDAR, xyz, features)


def images(frame):
    for camera in frame.cameras:
        height, width = camera.size_px
        metadata = PinholeCameraMetadata(
            camera.name, CameraID(CAMERA_IDS[camera.name][1]),
            PinholeIntrinsics.from_camera_matrix(camera.intrinsics),
            PinholeDistortion(*camera.distortion.tolist()), width, height,
            pose(camera.ego_from_camera),
        )  # fmt: skip
        exposed = Timestamp.from_us(camera.timestamp_us)
        global_from_camera = pose(frame.ego2global @ camera.ego_from_camera)
        yield Camera(metadata, camera.image, global_from_camera, exposed)
