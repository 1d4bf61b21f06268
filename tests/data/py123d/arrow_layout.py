"""Writes a log in the Arrow layout of py123d 0.7, without py123d."""

from __future__ import annotations

import io

import msgpack
import numpy as np
import pyarrow as pa
from PIL import Image
from scipy.spatial.transform import Rotation

from leapai.data.argoverse2.argoverse2_classes import CATEGORIES
from leapai.data.py123d.py123d_classes import label_class
from leapai.geometry import poses

CAMERA_IDS = {
    "front_narrow": ("ftcam_tele_f0", 13), "front_wide": ("pcam_f0", 0), "back": ("pcam_b0", 1),
    "front_left": ("pcam_l0", 2), "back_left": ("pcam_l1", 3), "front_right": ("pcam_r0", 5),
    "back_right": ("pcam_r1", 6),
}  # fmt: skip
"""Camera of the embedded world -> name and number of py123d."""
LABELS = "py123d.parser.registry.AV2SensorBoxDetectionLabel"
NUMBER_OF = {word: i for i, word in enumerate(label_class(LABELS, None).words)}
HEIGHT_M = 1.6
_POSE, _BOX, _VELOCITY = (pa.list_(pa.float64(), width) for width in (7, 10, 3))


def row_of(pose):
    """A pose [4, 4] as x y z qw qx qy qz."""
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat()
    return [*pose[:3, 3].tolist(), w, x, y, z]


class Written:
    """The tables of a log by the name of their file: columns, types and metadata, to be changed
    before they are written."""

    def __init__(self, folder, frames, imu_from_ego=None, image_format="PNG"):
        self.folder, self.frames = folder, frames
        self.imu_from_ego = np.eye(4) if imu_from_ego is None else imu_from_ego
        self.image_format = image_format
        self.columns, self.types, self.metadata = {}, {}, {}
        self.batch_rows, self.compression = 10, None
        self.ego()
        self.boxes()
        self.lidar()
        for number in range(len(frames[0].cameras)):
            self.camera(number)
        times = [frame.timestamp_us for frame in frames]
        rows = list(range(len(frames)))
        indices = dict.fromkeys(self.columns, rows)
        self.table("sync", {"timestamp_us": times}, {"timestamp_us": pa.int64()}, {
            "dataset": "made-up", "split": "made-up_val", "log_name": folder.name,
            "location": None, "version": "0.7.0", "map_metadata": None,
        })  # fmt: skip
        self.indices = indices

    def table(self, key, columns, types, metadata):
        self.columns[key], self.types[key], self.metadata[key] = columns, types, metadata

    @property
    def global_from_imu(self):
        return [frame.ego2global @ poses.invert(self.imu_from_ego) for frame in self.frames]

    def ego(self):
        center = self.imu_from_ego @ poses.from_xyz_yaw(np.array([1.4, 0, HEIGHT_M / 2]), 0.0)
        axle = self.imu_from_ego @ poses.from_xyz_yaw(np.array([0, 0, 0.3]), 0.0)
        self.table("ego_state_se3", {
            "timestamp_us": [frame.timestamp_us for frame in self.frames],
            "imu_se3": [row_of(pose) for pose in self.global_from_imu],
            "dynamic_state_se3": [None for _ in self.frames],
        }, {"timestamp_us": pa.int64(), "imu_se3": _POSE,
            "dynamic_state_se3": pa.list_(pa.float64(), 9)}, {
            "vehicle_name": "made up", "width": 1.9, "length": 4.8, "height": HEIGHT_M,
            "wheel_base": 2.8, "center_to_imu_se3": row_of(center),
            "rear_axle_to_imu_se3": row_of(axle),
        })  # fmt: skip

    def boxes(self):
        found = {name: [] for name in (
            "timestamp_us", "bounding_box_se3", "track_token", "label", "velocity_3d",
            "num_lidar_points",
        )}  # fmt: skip
        for frame in self.frames:
            labels = frame.labels
            centre = poses.from_xyz_yaw(labels.boxes[:, :3], labels.boxes[:, 6])
            placed = [row_of(pose) for pose in frame.ego2global @ centre]
            velocity = poses.rotate(frame.ego2global, labels.velocity_mps)
            words = [CATEGORIES[labels.vocabulary.names[i]] for i in labels.class_id]
            found["timestamp_us"].append(frame.timestamp_us)
            found["bounding_box_se3"].append(
                [[*pose, *size] for pose, size in zip(placed, labels.boxes[:, 3:6], strict=True)]
            )
            found["track_token"].append([f"object-{i:04}" for i in labels.track_id])
            found["label"].append([NUMBER_OF[word] for word in words])
            found["velocity_3d"].append(velocity.tolist())
            found["num_lidar_points"].append(labels.num_lidar_points.tolist())
        types = (
            *(pa.int64(), pa.list_(_BOX), pa.list_(pa.string()), pa.list_(pa.uint16())),
            *(pa.list_(_VELOCITY), pa.list_(pa.int32())),
        )
        self.table("box_detections_se3", found, dict(zip(found, types, strict=True)),
                   {"box_detection_label_class": LABELS})  # fmt: skip

    def lidar(self):
        mount = {"lidar_name": "top", "lidar_id": 2, "segmentation_label_class": None,
                 "lidar_to_imu_se3": [0, 0, 0, 1, 0, 0, 0]}  # fmt: skip
        times = [frame.timestamp_us for frame in self.frames]
        self.table("lidar.lidar_merged", {
            "timestamp_us": times, "end_timestamp_us": times,
            "data": [packed_sweep(sweep_columns(f, self.imu_from_ego)) for f in self.frames],
        }, {"timestamp_us": pa.int64(), "end_timestamp_us": pa.int64(), "data": pa.binary()},
            {"2": mount})  # fmt: skip

    def camera(self, number):
        first = self.frames[0].cameras[number]
        name, camera_id = CAMERA_IDS[first.name]
        seen = [(frame, frame.cameras[number]) for frame in self.frames]
        mount = self.imu_from_ego @ first.ego_from_camera
        (fx, skew, cx), (_, fy, cy), _ = first.intrinsics.tolist()
        self.table(f"camera.{name}", {
            "timestamp_us": [camera.timestamp_us for _, camera in seen],
            "data": [encoded(camera.image, self.image_format) for _, camera in seen],
            "camera_to_global_se3": [row_of(f.ego2global @ c.ego_from_camera) for f, c in seen],
            "exposure_factor": [None for _ in seen],
        }, {"timestamp_us": pa.int64(), "data": pa.binary(), "camera_to_global_se3": _POSE,
            "exposure_factor": pa.float32()}, {
            "camera_model": "pinhole", "camera_name": first.name, "camera_id": camera_id,
            "intrinsics": [fx, fy, cx, cy, skew], "distortion": first.distortion.tolist(),
            "width": first.size_px[1], "height": first.size_px[0],
            "camera_to_imu_se3": row_of(mount), "is_undistorted": False,
        })  # fmt: skip

    def write(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        for key, columns in self.columns.items():
            found = {f"{key}.{name}": pa.array(values, self.types[key][name])
                     for name, values in columns.items()}  # fmt: skip
            if key == "sync":
                for other, rows in self.indices.items():
                    found[other] = pa.array(rows, pa.int64())
            table = pa.table(found)
            packed = msgpack.packb(self.metadata[key], use_bin_type=True)
            table = table.replace_schema_metadata({b"metadata": packed})
            options = pa.ipc.IpcWriteOptions(compression=self.compression)
            path = self.folder / f"{key}.arrow"
            with pa.ipc.new_file(str(path), table.schema, options=options) as writer:
                writer.write_table(table, max_chunksize=self.batch_rows)
        return self.folder


def sweep_columns(frame, imu_from_ego):
    """The columns of a sweep as py123d keeps them: intensities of 8 bits, times of the clock."""
    xyz = frame.points[:, :3]
    if not np.array_equal(imu_from_ego, np.eye(4)):
        xyz = poses.apply(imu_from_ego, xyz.astype(np.float64)).astype(np.float32)
    return {
        "x": xyz[:, 0], "y": xyz[:, 1], "z": xyz[:, 2],
        "intensity": np.rint(frame.points[:, 3] * 255).astype(np.uint8),
        "timestamps": frame.timestamp_us + np.rint(frame.points[:, 4] * 1e6).astype(np.int64),
    }  # fmt: skip


def packed_sweep(columns, compression="zstd"):
    batch = pa.RecordBatch.from_pydict(columns)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def encoded(image, image_format):
    content = io.BytesIO()
    Image.fromarray(image).save(content, image_format, quality=95)
    return content.getvalue()
