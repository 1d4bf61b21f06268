"""The crossing with lights as a place: its scenery and map."""

from __future__ import annotations

import numpy as np

from leapai.data.static_labels import DRIVABLE_LAYER
from leapai.types import FloatArray, MapLine
from leapai_world.meshes import Mesh, block, joined, surface
from leapai_world.places import scenery
from leapai_world.places.crossing_actors import add_crossing_actors
from leapai_world.places.furniture import signal
from leapai_world.places.junction import STOP_M, ZEBRA_M, Junction
from leapai_world.places.lighting import daylight
from leapai_world.places.place import Place
from leapai_world.places.road_markings import MARK, arrow, element, filled, ribbon, straight, tiles
from leapai_world.places.street import KERB_HEIGHT_M, LANE_M
from leapai_world.traffic.actor_list import Actors


def crossing(seed: int, duration_s: float) -> Place:
    """Lays out a crossing with lights: one arm has green at a time, people cross when a gap lets
    them."""
    junction, actors = Junction(seed, duration_s), Actors(seed)
    add_crossing_actors(junction, actors)
    middle = _middle(junction)
    blocks = [
        (arm, number, junction.arms[arm].centre(junction.half_m + (number + 0.5) * scenery.BLOCK_M))
        for arm in range(4)
        for number in range(int(junction.reach_m(arm) / scenery.BLOCK_M) + 2)
    ]

    def around(point_m: FloatArray) -> Mesh:
        near = [_arm(junction, arm, n) for arm, n, at in blocks if np.hypot(*(at - point_m)) < 130]
        return joined([middle, *near])

    return Place(actors, tuple(_lines(junction)), around, daylight(seed))


def _lines(junction: Junction) -> list[MapLine]:
    half, kerb = junction.half_m, junction.arms[0].kerb_m
    lines: list[MapLine] = []
    for arm, street in enumerate(junction.arms):
        lines += scenery.map_lines(street, half, junction.reach_m(arm))
        line = straight((0.0, 0.0), street.bend.heading_rad)
        stop = half + STOP_M
        points = line(np.array([stop, stop]), np.array([0.0, junction.lanes * LANE_M]))
        lines.append(MapLine("WideSolidLine", "lane_boundary", points))
        corner = np.array([[half, kerb], [kerb, kerb], [kerb, half]])
        at = street.local(corner[:, 0], corner[:, 1], KERB_HEIGHT_M)
        lines.append(element("Curb", at))
        lines += [element("GroundSigns", outline) for outline in _arrows(junction, arm)]
    square = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]], float)
    for x, y in ((half, kerb), (kerb, half)):
        area = np.concatenate([square * [x, y], np.zeros((5, 1))], 1)
        lines.append(MapLine("Drivable", DRIVABLE_LAYER, junction.place(area)))
    return lines


def _arrows(junction: Junction, arm: int) -> list[FloatArray]:
    """Returns the outlines of the arrows in the lanes that come in by an arm."""
    street, begin = junction.arms[arm], junction.half_m + STOP_M + 6.0
    outlines = []
    for lane in range(junction.lanes):
        for s in (begin, begin + 14.0):
            line = straight(
                tuple(street.local(s, LANE_M * (lane + 0.5))[:2]), street.bend.heading_rad + np.pi
            )
            outlines.append(arrow(line, 0.0))
    return outlines


def _arm(junction: Junction, arm: int, number: int) -> Mesh:
    """Builds a block of an arm; the first has the zebra crossing, the stop line and the light."""
    street, half = junction.arms[arm], junction.half_m
    parts = [scenery.build_block(street, number, half)]
    if number == 0:
        edges = np.array([[half + ZEBRA_M - 1.6, half + ZEBRA_M + 1.9]])
        for d in np.arange(-street.carriageway_m + 0.3, street.carriageway_m - 0.5, 1.1):
            parts.append(surface(ribbon(street.local, edges, d, d + 0.55), MARK))
        stop = np.array([[half + STOP_M - 0.2, half + STOP_M + 0.2]])
        parts.append(surface(ribbon(street.local, stop, 0.1, junction.lanes * LANE_M), MARK))
        parts += [filled(outline) for outline in _arrows(junction, arm)]
        at = street.local(half + ZEBRA_M + 2.6, street.kerb_m + 0.5, KERB_HEIGHT_M)
        parts.append(signal().turned(street.bend.heading_rad, at))
    return joined(parts)


def _middle(junction: Junction) -> Mesh:
    """Builds the square where the arms meet: road, four pavement corners, and ground beyond the
    lawns."""
    half, kerb = junction.half_m, junction.arms[0].kerb_m
    road = tiles((-half, -half), (half, half), -0.001, 5.0)
    parts = [surface(road, scenery.ROAD)]
    for x in (-1, 1):
        for y in (-1, 1):
            low = (min(x * kerb, x * half), min(y * kerb, y * half))
            high = (max(x * kerb, x * half), max(y * kerb, y * half))
            parts.append(block((*low, 0.0), (*high, KERB_HEIGHT_M), scenery.PAVEMENT))
            low = (min(x * half, x * 300.0), min(y * half, y * 300.0))
            high = (max(x * half, x * 300.0), max(y * half, y * 300.0))
            parts.append(surface(tiles(low, high, KERB_HEIGHT_M - 0.03, 25.0), scenery.LAWN))
    return joined(parts).turned(junction.heading_rad, (0.0, 0.0, 0.0))
