"""Data types that flow through the system, from a sensor to a user; numpy alone.

| type            | from -> to                         | form                          |
|-----------------|------------------------------------|-------------------------------|
| `Frame`         | data sets -> transforms, streaming | numpy, one instant, unbatched |
| `FrameBatch`    | collate -> model                   | tensors, one frame a stream   |
| `TemporalState` | model -> model                     | tensors, the memory           |
| `Predictions`   | model -> losses, decoding          | tensors, a part for each task |
| `Detections`    | decoding -> everyone else          | numpy, ego frame              |
| `Map`           | streaming -> everyone else         | numpy, ego frame              |

The three in the middle hold tensors, so they are in `leapai.models.tensors`.

Frames and units (docs/design.md, section 2): ego frame x forward, y left, z up, origin on the
ground under the rear axle; metres, radians, seconds; timestamps are int64 microseconds. Velocities
are over ground, in ego axes. Transforms are named `dst_from_src`; `ego2global` keeps the design's
name and means `global_from_ego`.
"""

from leapai.types.bev_grid import BevGrid
from leapai.types.detections import Detections
from leapai.types.frames import CameraFrame, Frame, Labels, PixelLabels, StaticLabels
from leapai.types.map_elements import Map, MapLine, MapPolyline, VectorMap
from leapai.types.memory_slots import MemorySlots, ids_of_slots
from leapai.types.network_step import NetworkStep, ObjectOutputs, SlotsRead
from leapai.types.vocabulary import (
    ALL,
    ARGOVERSE2,
    CAMERA_GROUPS,
    CLASS_NAMES,
    DESIGN,
    GROUPS,
    LANE_MARKINGS,
    NUSCENES,
    OCCLUSION_MIN_VISIBLE,
    OCCLUSION_NAMES,
    ROAD_ELEMENTS,
    STATIC_CLASSES,
    VOCABULARIES,
    BoolArray,
    FloatArray,
    ImageArray,
    IntArray,
    StringArray,
    Vocabulary,
    occlusion_level_of,
)

__all__ = [
    "ALL",
    "ARGOVERSE2",
    "CAMERA_GROUPS",
    "CLASS_NAMES",
    "DESIGN",
    "GROUPS",
    "LANE_MARKINGS",
    "NUSCENES",
    "OCCLUSION_MIN_VISIBLE",
    "OCCLUSION_NAMES",
    "ROAD_ELEMENTS",
    "STATIC_CLASSES",
    "VOCABULARIES",
    "BevGrid",
    "BoolArray",
    "CameraFrame",
    "Detections",
    "FloatArray",
    "Frame",
    "ImageArray",
    "IntArray",
    "Labels",
    "Map",
    "MapLine",
    "MapPolyline",
    "MemorySlots",
    "NetworkStep",
    "ObjectOutputs",
    "PixelLabels",
    "SlotsRead",
    "StaticLabels",
    "StringArray",
    "VectorMap",
    "Vocabulary",
    "ids_of_slots",
    "occlusion_level_of",
]
