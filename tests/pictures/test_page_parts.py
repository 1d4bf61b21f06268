from itertools import combinations

import numpy as np
import pytest

from leapai.pictures.drawing import Rectangle
from leapai.pictures.page_parts import arrange_cameras
from tests.pictures.made_up import RIG, camera

AREA_PX = (896, 1088)
ARGOVERSE = {
    "ring_front_center": 0.0,
    "ring_front_left": 45.0,
    "ring_front_right": -45.0,
    "ring_side_left": 99.0,
    "ring_side_right": -99.0,
    "ring_rear_left": 153.0,
    "ring_rear_right": -153.0,
}


def arranged(azimuths: dict[str, float], sizes=None, area=AREA_PX) -> dict[str, Rectangle]:
    sizes = sizes or {}
    cameras = [
        camera(name, azimuth, size_px=sizes.get(name, (512, 960)), image=None)
        for name, azimuth in azimuths.items()
    ]
    return dict(zip(azimuths, arrange_cameras(cameras, area, 8), strict=True))


def rows(places: dict[str, Rectangle]) -> list[list[str]]:
    tops = sorted({place.top for place in places.values()})
    return [
        sorted((n for n, p in places.items() if p.top == top), key=lambda n: places[n].left)
        for top in tops
    ]


def test_seven_cameras_stand_as_they_look():
    places = arranged(RIG)
    assert rows(places) == [
        ["front_narrow", "front_wide"],
        ["front_left", "front_right"],
        ["back_left", "back", "back_right"],
    ]


def test_the_order_given_does_not_matter():
    one_front = {name: azimuth for name, azimuth in RIG.items() if name != "front_wide"}
    assert arranged(dict(reversed(one_front.items()))) == arranged(one_front)


def test_a_portrait_front_camera_fits():
    portrait = {"ring_front_center": (2048, 1550)}
    sizes = dict.fromkeys(ARGOVERSE, (1550, 2048)) | portrait
    places = arranged(ARGOVERSE, sizes)
    assert rows(places) == [
        ["ring_front_left", "ring_front_center", "ring_front_right"],
        ["ring_side_left", "ring_side_right"],
        ["ring_rear_left", "ring_rear_right"],
    ]
    for name, place in places.items():
        height, width = sizes[name]
        ratio = (place.right - place.left) / (place.bottom - place.top)
        assert ratio == pytest.approx(width / height, rel=0.02)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 12])
def test_any_rig_fits_without_overlap(count: int):
    azimuths = {f"c{i}": float(a) for i, a in enumerate(np.linspace(-170, 180, count))}
    places = list(arranged(azimuths).values())
    assert all(place.inside(AREA_PX) for place in places)
    assert not any(a.overlaps(b) for a, b in combinations(places, 2))
    assert all(place.right - place.left > 100 for place in places)


def test_no_camera_no_place():
    assert arrange_cameras([], AREA_PX, 8) == []
