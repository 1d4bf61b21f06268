"""Parts of a recording on Foxglove's schemas: arrays of the package as protobuf messages.

Needs foxglove-schemas-protobuf (`pip install 'leapai[mcap]'`), so this module is imported late.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.Color_pb2 import Color
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.LinePrimitive_pb2 import LinePrimitive
from foxglove_schemas_protobuf.Log_pb2 import Log
from foxglove_schemas_protobuf.PackedElementField_pb2 import PackedElementField
from foxglove_schemas_protobuf.Point3_pb2 import Point3
from foxglove_schemas_protobuf.PointCloud_pb2 import PointCloud
from foxglove_schemas_protobuf.Pose_pb2 import Pose
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.SceneEntity_pb2 import SceneEntity
from foxglove_schemas_protobuf.SceneEntityDeletion_pb2 import SceneEntityDeletion
from foxglove_schemas_protobuf.SceneUpdate_pb2 import SceneUpdate
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3
from google.protobuf.timestamp_pb2 import Timestamp
from scipy.spatial.transform import Rotation

from leapai.geometry.polylines import in_space
from leapai.pictures import palette
from leapai.pictures.bev_scene import EGO_OUTLINE_M, gt_by_colour
from leapai.pictures.camera_overlay import CameraView, draw_camera
from leapai.pictures.palette import CLASS_COLOURS, Colour
from leapai.pictures.recording_bounds import JPEG_QUALITY, POINT_STEP_M
from leapai.types import OCCLUSION_NAMES, Detections, FloatArray, Labels, MapPolyline

EGO, WORLD = "ego", "world"
_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("intensity", "u1")])
"""A packed point of 13 bytes; intensities of 0 to 1 become 0 to 255."""
_FIELD_TYPES = {"<f4": PackedElementField.FLOAT32, "|u1": PackedElementField.UINT8}
_BOX_OPACITY, _LINE_PX, _TEXT_M = 0.35, 2.0, 0.6


def time_of(timestamp_us: int) -> Timestamp:
    """Returns a time of the package as protobuf's."""
    seconds, rest_us = divmod(timestamp_us, 10**6)
    return Timestamp(seconds=seconds, nanos=rest_us * 1000)


def transform(
    parent: str, child: str, parent_from_child: FloatArray, at: Timestamp
) -> FrameTransform:
    """Returns a rigid transform [4, 4]."""
    x, y, z, w = Rotation.from_matrix(parent_from_child[:3, :3]).as_quat().tolist()
    return FrameTransform(
        timestamp=at,
        parent_frame_id=parent,
        child_frame_id=child,
        translation=_vector(parent_from_child[:3, 3]),
        rotation=Quaternion(x=x, y=y, z=z, w=w),
    )


def cloud(points: FloatArray | None, at: Timestamp) -> PointCloud:
    """Returns LiDAR points [P, 5] in the ego frame; empty where the sensor failed."""
    points = np.zeros((0, 5), np.float32) if points is None else points
    table = np.zeros(len(points), _POINT)
    for axis, values_m in zip("xyz", points[:, :3].T, strict=True):
        table[axis] = np.rint(values_m / POINT_STEP_M) * POINT_STEP_M
    table["intensity"] = np.rint(np.clip(points[:, 3], 0, 1) * 255)
    assert _POINT.fields is not None
    fields = [
        PackedElementField(name=name, offset=offset, type=_FIELD_TYPES[kind.str])
        for name, (kind, offset, *_) in _POINT.fields.items()
    ]
    return PointCloud(
        timestamp=at,
        frame_id=EGO,
        pose=_IDENTITY,
        point_stride=_POINT.itemsize,
        fields=fields,
        data=table.tobytes(),
    )


def camera_frame(name: str) -> str:
    """Returns the frame of a camera: x right, y down, z forward."""
    return f"camera/{name}"


def image(view: CameraView, at: Timestamp) -> CompressedImage:
    """Returns the image as JPEG; a failed camera is labelled so."""
    camera, size_px = view.camera, view.size_px
    if camera.image is None:
        picture = draw_camera(camera, size_px)
    else:
        picture = cv2.resize(camera.image, size_px[::-1], interpolation=cv2.INTER_AREA)
    options = (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return CompressedImage(
        timestamp=at, frame_id=camera_frame(camera.name), data=encoded.tobytes(), format="jpeg"
    )


def calibration(view: CameraView, at: Timestamp) -> CameraCalibration:
    """Returns the calibration of the recorded image, with its lens."""
    matrix, (height, width) = view.intrinsics, view.size_px
    return CameraCalibration(
        timestamp=at,
        frame_id=camera_frame(view.camera.name),
        width=width,
        height=height,
        distortion_model="plumb_bob",
        D=view.camera.distortion.tolist(),
        K=matrix.ravel().tolist(),
        R=np.eye(3).ravel().tolist(),
        P=np.hstack([matrix, np.zeros((3, 1))]).ravel().tolist(),
    )


def objects(detections: Detections, at: Timestamp) -> SceneUpdate:
    """Returns every object as an entity: its box, its velocity as the path of a second, its name;
    class, confidence, velocity and occlusion as metadata. They replace those of the frame before.
    """
    entities = []
    names = detections.vocabulary.named(detections.class_id)
    for i, (name, track_id) in enumerate(zip(names, detections.track_id.tolist(), strict=True)):
        box, velocity_mps = detections.boxes[i], detections.velocity_mps[i]
        colour = CLASS_COLOURS[int(detections.class_id[i])]
        name_of = f"track {track_id}" if track_id >= 0 else f"without a track {i}"
        entity = _boxed(name_of, box, colour, at)
        entity.lines.append(_line([box[:3], box[:3] + velocity_mps], colour))
        above = box[:3] + np.array([0.0, 0.0, box[5] / 2 + _TEXT_M])
        text = f"{name} {track_id}" if track_id >= 0 else name
        entity.texts.add(
            pose=_pose(above),
            billboard=True,
            font_size=_TEXT_M,
            color=_colour(colour),
            text=text,
        )
        facts = {
            "class": name,
            "track_id": str(track_id),
            "confidence": f"{detections.score[i]:.3f}",
            "occlusion": OCCLUSION_NAMES[int(detections.occlusion_level[i])],
            "velocity_mps": " ".join(f"{value:.3f}" for value in velocity_mps),
            "speed_mps": f"{np.linalg.norm(velocity_mps):.3f}",
        }
        for key, value in facts.items():
            entity.metadata.add(key=key, value=value)
        entities.append(entity)
    return _replacing(entities, at)


def ground_truth(labels: Labels, at: Timestamp) -> SceneUpdate:
    """Returns the boxes of the labelled objects in grey, darker where heavily occluded."""
    entities = []
    for colour, index in gt_by_colour(labels, alone=False):
        for i in index.tolist():
            entities.append(_boxed(f"object {i}", labels.boxes[i], colour, at))
    return _replacing(entities, at)


def trails(paths_m: Sequence[FloatArray], class_id: Sequence[int], at: Timestamp) -> SceneUpdate:
    """Returns the paths of tracks, each [K, 3] in `world`, in the colours of their classes."""
    entity = _entity("trails", WORLD, at)
    for path, number in zip(paths_m, class_id, strict=True):
        entity.lines.append(_line(path, CLASS_COLOURS[number]))
    return _replacing([entity], at)


def vehicle(at: Timestamp) -> SceneUpdate:
    """Returns the outline of the ego on the ground, which moves with it."""
    closed = np.vstack([EGO_OUTLINE_M, EGO_OUTLINE_M[:1]])
    entity = _entity("vehicle", EGO, at)
    entity.frame_locked = True
    entity.lines.append(_line(np.pad(closed, ((0, 0), (0, 1))), palette.EGO))
    return _replacing([entity], at)


def map_lines(lines: Sequence[MapPolyline], at: Timestamp) -> SceneUpdate:
    """Returns the lines of the predicted map on the ground, an entity for each kind."""
    kinds = sorted({line.kind for line in lines})
    entities = []
    for kind in kinds:
        entity = _entity(kind, EGO, at)
        colour = palette.MAP_ELEMENT_COLOURS[kind]
        of_kind = [in_space(line.points_m) for line in lines if line.kind == kind]
        entity.lines.extend(_line(points_m, colour) for points_m in of_kind)
        entities.append(entity)
    return _replacing(entities, at)


def given_map(lines_m: Sequence[FloatArray], layers: Sequence[str], at: Timestamp) -> SceneUpdate:
    """Returns the lines of a given map, each [K, 3] in `world`, as an entity for each layer."""
    entities = []
    for layer in sorted(set(layers)):
        entity = _entity(layer, WORLD, at)
        colour = palette.MAP_LAYER_COLOURS.get(layer, palette.MAP_LAYER_DEFAULT)
        of_layer = [line for line, name in zip(lines_m, layers, strict=True) if name == layer]
        entity.lines.extend(_line(line, colour) for line in of_layer)
        entities.append(entity)
    return _replacing(entities, at)


def fault(words: str, at: Timestamp) -> Log:
    """Returns a fault of a sensor: `CAM_BACK: samples/x.jpg: cannot be decoded`."""
    return Log(timestamp=at, level=Log.WARNING, message=words, name=words.partition(":")[0])


def _replacing(entities: Sequence[SceneEntity], at: Timestamp) -> SceneUpdate:
    """Returns an update after which a topic has these entities and no others."""
    update = SceneUpdate(entities=entities)
    update.deletions.add(timestamp=at, type=SceneEntityDeletion.ALL)
    return update


def _boxed(name: str, box: FloatArray, colour: Colour, at: Timestamp) -> SceneEntity:
    """Returns an entity with a box [7] in the ego frame."""
    entity = _entity(name, EGO, at)
    size_m = _vector(box[3:6])
    entity.cubes.add(pose=_pose(box[:3], box[6]), size=size_m, color=_colour(colour, _BOX_OPACITY))
    return entity


def _entity(name: str, frame: str, at: Timestamp) -> SceneEntity:
    return SceneEntity(timestamp=at, frame_id=frame, id=name)


def _line(points_m: Sequence[FloatArray] | FloatArray, colour: Colour) -> LinePrimitive:
    return LinePrimitive(
        type=LinePrimitive.LINE_STRIP,
        pose=_IDENTITY,
        thickness=_LINE_PX,
        scale_invariant=True,
        points=[Point3(x=x, y=y, z=z) for x, y, z in np.asarray(points_m).tolist()],
        color=_colour(colour),
    )


def _colour(colour: Colour, opacity: float = 1.0) -> Color:
    red, green, blue = (channel / 255 for channel in colour)
    return Color(r=red, g=green, b=blue, a=opacity)


def _vector(xyz: FloatArray) -> Vector3:
    return Vector3(x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))


def _pose(xyz_m: FloatArray, yaw_rad: float = 0.0) -> Pose:
    """Returns a pose that is turned about z alone."""
    turn = Quaternion(z=math.sin(yaw_rad / 2), w=math.cos(yaw_rad / 2))
    return Pose(position=_vector(xyz_m), orientation=turn)


_IDENTITY = _pose(np.zeros(3))
