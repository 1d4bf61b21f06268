"""What `leapai inspect` draws of a data set's map."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from leapai.data.log import DrivingLog
from leapai.geometry import poses
from leapai.inspection.inspection_pictures import write_pictures
from leapai.pictures.camera_overlay import CameraView
from leapai.pictures.palette import MAP_ELEMENT_COLOURS
from leapai.types import MapLine
from tests.pictures.made_up import FAR_AWAY, camera, frame, shows

SLOPE = 0.05
ALONG_M = np.arange(4.0, 41.0, 2.0)
KERB_M = np.stack([ALONG_M, np.full_like(ALONG_M, 2.0), SLOPE * ALONG_M], -1)


class OneFrame(DrivingLog):
    """A drive up a slope, with a kerb on its left where there is a map."""

    name = "drive"
    timestamps_us = np.array([1_700_000_000_000_000])

    def __init__(self, has_map: bool) -> None:
        self._has_map = has_map

    def __getitem__(self, index: int):
        return frame(index, cameras=(camera(),))

    def vector_map(self):
        kerb = MapLine("Curb", "road_edge", poses.apply(FAR_AWAY, KERB_M))
        return (kerb,) if self._has_map else None


@pytest.mark.parametrize("has_map", [True, False])
def test_the_maps_lines_stand_in_the_cameras_at_their_heights(tmp_path, has_map):
    assert write_pictures([OneFrame(has_map)], tmp_path, 1) == 2
    folder = tmp_path / "drive" / "1700000000000000"
    drawn = cv2.imread(str(folder / "front.png"))[..., ::-1]
    view = CameraView(camera(), (120, 240))
    for x in (6.0, 10.0, 20.0):
        pixel, _ = view.project(np.array([[x, 2.0, SLOPE * x]]))
        assert shows(drawn, pixel[0], MAP_ELEMENT_COLOURS["Curb"], 60) == has_map
    on_the_plane, _ = view.project(np.array([[20.0, 2.0, 0.0]]))
    assert not shows(drawn, on_the_plane[0], MAP_ELEMENT_COLOURS["Curb"], 60)


def test_the_maps_cells_and_lines_stand_on_the_canvas(tmp_path):
    pictures = []
    for has_map in (True, False):
        write_pictures([OneFrame(has_map)], tmp_path / str(has_map), 1)
        (path,) = (tmp_path / str(has_map)).rglob("overview.png")
        pictures.append(cv2.imread(str(path)))
    assert (pictures[0] != pictures[1]).any(-1).sum() > 200
