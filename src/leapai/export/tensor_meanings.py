"""Content of each input and output of a step graph, with unit and frame, for its manifest."""

from __future__ import annotations

_SLOTS = {
    "query": "feature of each memory slot",
    "reference_m": "centre of each slot, metres, in the ego frame of the last frame",
    "velocity_mps": "velocity of each slot over ground, m/s, in the axes of that frame",
    "confidence": "confidence of each slot in [0, 1]",
    "class_id": "class of each slot",
    "timestamp_us": "when each slot was stored, microseconds",
    "last_from_stored": "ego frame in which each slot was stored, in the last one, metres",
    "track_id": "track id of each slot; -1: none. The tracker of the host writes it",
    "query_index": "query of each slot in its frame; -1: none",
    "valid": "False: the slot holds nothing",
}
_INPUTS = {
    "images": "RGB of the cameras at the size of the network; zeros where a camera failed",
    "camera_valid": "False: the camera failed",
    "points": "x y z in metres in the ego frame, intensity, seconds since the frame; only those "
    "that have a pillar, one pillar after another",
    "point_pillar": "pillar of each point, rising; V: none",
    "pillar_cell": "cell of each pillar in the grid of pillars, row by row; those without points "
    "lie behind the last cell",
    "lidar_valid": "False: the LiDAR failed",
    "pair_map": "camera of each pair of a BEV cell and a camera that sees it, by cell, then camera",
    "pair_cell": "BEV cell of each pair, row by row; rows run along y, columns along x",
    "cell_offsets": "first pair of each cell",
    "cameras_of_cell": "how many cameras see each cell, at least 1",
    "samples_of_cell": "how many heights of each cell all cameras see together, at least 1",
    "anchor": "x y of each height of each pair, in cells of the feature map of 8 x 8 pixels",
    "anchor_seen": "False: the height lies outside of the picture",
    "depth_m": "depth of each height along the axis of the camera, metres",
    "ray_depth_m": "depth along the axis of each camera at which the ray through each cell of its "
    "feature map is at each height above the ground, metres; 1000: it never is, or it failed",
    "now_us": "time of this frame, microseconds",
    "reset": "True: memory is dropped: a sequence begins, time runs back, a gap, a bad pose",
    "has_pose": "False: the ego pose of this frame is not finite",
    "prev2curr": "this frame's ego frame from the last one's, metres; identity on reset",
    "interval_s": "seconds since the last frame; 0 on reset",
    "past_bev": "map features of the kept frames nearest to the required ages",
    "past_from_now": "ego frame of each of them from this frame's, metres; identity where none is",
    "past_found": "False: no frame of this age is kept",
}
_PASSED = {
    "bev": "BEV features of cameras and LiDAR, rows along y, columns along x, in this frame's ego "
    "frame",
}
_OUTPUTS = {
    "class_logits": "logit of each class for each query",
    "boxes": "centre in [0, 1] of the BEV range, l w h in metres, sin and cos of yaw, m/s",
    "occlusion_score": "occlusion of each query; its level is the number of thresholds below it",
    "occlusion_thresholds": "the thresholds, increasing",
    "memory_reference_m": "centre of each slot moved to this frame, metres, in its ego frame",
    "memory_velocity_mps": "velocity of each slot over ground, m/s, in this frame's ego axes",
    "memory_valid": "False: the slot held nothing in this frame",
    "map_logits": "logit of each class of the map, rows along y, columns along x",
    "next_bev": "map features of this frame, for the ring that the host keeps",
    "next_bev_is_finite": "False: the features must not enter the ring",
}
MEANINGS = (
    _INPUTS
    | {name: f"{text}; input of this frame" for name, text in _SLOTS.items()}
    | _PASSED
    | _OUTPUTS
    | {f"next_{name}": f"{text}; input of the next frame" for name, text in _SLOTS.items()}
)
"""Content by name of the tensor."""
