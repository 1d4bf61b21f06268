"""How much of a LiDAR pulse the things of the world send back: as much as real ones."""

from __future__ import annotations

import numpy as np
import pytest

from leapai.data.log import OpenOptions
from leapai.inspection.lidar_statistics import lidar_values
from leapai.types import CLASS_NAMES, DESIGN
from leapai_world import open_logs
from leapai_world.actors import colours
from leapai_world.places import furniture, scenery

CAR, PERSON, NON_MOTOR = (CLASS_NAMES.index(name) for name in ("car", "person", "non_motor"))


def drawn(lightness: float) -> np.ndarray:
    """Reflectivities [500, 3] of actors whose bodywork is so light."""
    own = np.full((3, 3), lightness)
    return np.array([colours.own_reflectivities(own, np.random.default_rng(k)) for k in range(500)])


@pytest.mark.parametrize(("lightness", "least", "most"), [(0.08, 0.004, 0.05), (0.9, 0.03, 0.3)])
def test_dark_paint_sends_next_to_nothing_back_and_light_paint_up_to_a_third(
    lightness, least, most
):
    body = drawn(lightness)[:, 0]
    assert body.min() >= least
    assert body.max() <= most + 1e-9
    assert body.max() / body.min() > 5


def test_cloth_does_not_follow_its_colour():
    dark, light = drawn(0.08)[:, 1:], drawn(0.9)[:, 1:]
    assert np.array_equal(dark, light)
    assert ((dark >= 0.02) & (dark <= 0.3)).all()
    assert dark.max() > 0.25
    assert dark.min() < 0.03


def test_asphalt_glass_and_retroreflectors():
    assert 0.03 <= scenery.ROAD.reflectivity <= 0.06
    assert 0 < scenery.ROAD.backscatter < 1, "a rough surface also reflects at grazing incidence"
    assert colours.GLASS.reflectivity < 0.02
    for retroreflector in (colours.PLATE, colours.TAIL_LAMP, colours.AMBER):
        assert retroreflector.reflectivity >= 0.9
        assert retroreflector.backscatter == 1
    sign = furniture.sign(np.random.default_rng(0))
    assert ((sign.reflectivity == 1) & (sign.backscatter == 1)).any()


@pytest.fixture(scope="module")
def reported():
    """What the LiDAR of the usual rig reports at every place."""
    logs = open_logs("split=val,drives=5,frames=1", OpenOptions((2, 4)))
    return lidar_values([log[0] for log in logs], DESIGN)


def test_medians_by_class_are_those_of_real_rigs(reported):
    """Measured on five real rigs of the usual convention within 30 m: ground .035 to .051, cars
    .008 to .029, persons .035 to .161. Parked cars of the world are seen from the side more often,
    so cars may be a little brighter."""
    assert 0.03 < np.median(reported.ground_intensity) < 0.06
    assert 0.008 < np.median(reported.intensity[CAR]) < 0.045
    assert 0.03 < np.median(reported.intensity[PERSON]) < 0.161
    assert 0.015 < np.median(reported.intensity[NON_MOTOR]) < 0.161


def test_cars_have_few_bright_spots_on_dark_paint(reported):
    """Plates and lamps: the brightest hundredth is ten times the median at least."""
    cars = reported.intensity[CAR]
    assert np.percentile(cars, 99) > 10 * np.median(cars)
    assert (cars > 0.8).mean() < 0.03
