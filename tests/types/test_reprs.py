"""`print` of frames and detections is a line that informs, not a page of numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from leapai.types import BevGrid, Map, MapPolyline
from tests.evaluation.made_up import detections_at, gt
from tests.scenes import make_frame


def test_detections_count_their_classes_and_name_the_best_score():
    found = detections_at(np.zeros((3, 2)), np.array([0, 3, 0]), np.array([0.5, 0.81, 0.2]))
    found = replace(found, track_id=np.array([4, -1, -1]))
    assert repr(found) == (
        "Detections(drive at 1000000 us: 3 objects: 2 car, 1 person, best score 0.81, "
        "1 with a track id)"
    )
    assert repr(found.select(np.zeros(0, int))) == (
        "Detections(drive at 1000000 us: 0 objects: none, 0 with a track id)"
    )


def test_a_frame_names_what_it_lacks():
    frame = make_frame(0)
    assert repr(frame) == "Frame(drive at 1000000 us: 7 cameras, 600 points, no labels)"
    cameras = (replace(frame.cameras[0], image=None), *frame.cameras[1:])
    bare = replace(frame, cameras=cameras, points=None, labels=gt(np.zeros((2, 2))))
    assert "7 cameras (front_narrow without image), no LiDAR, 2 labelled objects" in repr(bare)
    assert repr(cameras[0]) == "CameraFrame(front_narrow, front_narrow, 64 x 96 px, no image)"
    assert repr(bare.labels) == "Labels(2 objects: 2 car)"


def test_a_map_counts_its_lines():
    grid = BevGrid((0.0, 4.0), (0.0, 2.0), cell_m=0.5)
    line = MapPolyline("Curb", 0.9, np.zeros((2, 2)))
    bev_map = Map(np.zeros((14, 4, 8)), grid, (line, line))
    assert repr(bev_map) == "Map(4 x 8 cells of 0.5 m, 2 lines: 2 Curb)"
