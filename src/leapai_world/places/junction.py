"""The crossing: four arms of straight road that meet at right angles, with lights."""

from __future__ import annotations

import numpy as np

from leapai.data.static_labels import DRIVABLE_LAYER
from leapai.types.map_elements import MapLine
from leapai.types.vocabulary import FloatArray
from leapai_world.meshes import (
    Mesh,
    block,
    joined,
    surface,
)
from leapai_world.places import scenery, street_actors
from leapai_world.places.furniture import signal
from leapai_world.places.lighting import daylight
from leapai_world.places.place import Place
from leapai_world.places.road_markings import (
    MARK,
    arrow,
    element,
    filled,
    ribbon,
    straight,
    tiles,
)
from leapai_world.places.street import KERB_HEIGHT_M, LANE_M, Bend, Section, Street
from leapai_world.random_generators import random_generator
from leapai_world.traffic.actor_list import BUS, CAR, NON_MOTOR, PERSON, TRUCK, Actors, Plan
from leapai_world.traffic.routes import rounded

_ZEBRA_M = 2.8
"""A zebra crossing lies this far outside the junction; the stop line lies 4 m farther."""
_STOP_M = _ZEBRA_M + 4.0
_PHASE_S = 7.0


class Junction:
    """Four half streets whose s runs outward from the middle; traffic comes in where d > 0."""

    def __init__(self, seed: int, duration_s: float) -> None:
        rng = random_generator(seed, 0)
        self.seed, self.lanes = seed, int(rng.integers(1, 3))
        self.ego_lane = int(rng.integers(self.lanes))
        turns = [out for out in _exits(0, self.ego_lane, self.lanes) if out != 2]
        self.ego_out = int(rng.choice(turns)) if rng.random() < 0.8 else 2
        section = Section(
            self.lanes,
            divider=str(rng.choice(["DoubleSolidLine", "WideSolidLine"])),
            separator=str(rng.choice(["DashedLine", "WideDashedLine"])),
            lawn_m=20.0,
        )
        self.heading_rad = rng.uniform(-np.pi, np.pi)
        self.length_m = street_actors.REACH_M + 10.0 * duration_s
        self.arms = [
            Street(seed * 4 + arm, self.length_m, section, Bend(self.heading_rad + arm * np.pi / 2))
            for arm in range(4)
        ]
        self.half_m = self.arms[0].frontage_m
        """Half the side of the square that is the junction; arms begin at its edge."""

    def reach_m(self, arm: int) -> float:
        """Returns s up to which an arm has actors: far where the ego leaves by it."""
        return self.length_m if arm == self.ego_out else street_actors.REACH_M

    def place(self, points_m: FloatArray) -> FloatArray:
        """Returns points [..., 2 or 3] along the axes of the arms in the local frame."""
        c, s = np.cos(self.heading_rad), np.sin(self.heading_rad)
        points = np.array(points_m, float)
        points[..., :2] = points[..., :2] @ np.array([[c, s], [-s, c]])
        return points

    def way(self, arm: int, out: int, lane: int) -> FloatArray:
        """Returns points [P, 2] of the lane that comes in by an arm and goes out by another."""
        d = LANE_M * (lane + 0.5)
        comes, goes = (np.array([np.cos(a), np.sin(a)]) for a in (arm * np.pi / 2, out * np.pi / 2))
        left_of_comes, right_of_goes = (
            np.array([-comes[1], comes[0]]),
            np.array([goes[1], -goes[0]]),
        )
        start = comes * self.length_m + left_of_comes * d
        end = goes * self.length_m + right_of_goes * d
        if (out - arm) % 4 == 2:
            return self.place(rounded([tuple(start), tuple(end)], 1.0))
        corner = left_of_comes * d + right_of_goes * d
        radius = 7.0 if (out - arm) % 4 == 1 else self.half_m - 1.0
        # Right turns hug the kerb, left turns pass the middle.
        return self.place(rounded([tuple(start), tuple(corner), tuple(end)], radius))


def crossing(seed: int, duration_s: float) -> Place:
    """Lays out a crossing with lights: one arm has green at a time, people cross when a gap lets
    them."""
    junction, actors = Junction(seed, duration_s), Actors(seed)
    _add_actors(junction, actors)
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


def _exits(arm: int, lane: int, lanes: int) -> list[int]:
    """Returns the arms that a lane leads to: the outermost turns right, the innermost left, all go
    ahead."""
    right = [(arm + 1) % 4] if lane == lanes - 1 else []
    return [*right, (arm + 2) % 4, *([(arm + 3) % 4] if lane == 0 else [])]


def _add_actors(junction: Junction, actors: Actors) -> None:
    rng = random_generator(junction.seed, 3)
    before = rng.uniform(4.0, 22.0) if rng.random() < 0.6 else -rng.uniform(6.0, 12.0)
    stop = junction.length_m - junction.half_m - _STOP_M
    # The ego's arm is green from the start in most drives, in others it turns green later.
    first = int(rng.choice([0, 0, 0, 1])) if before > 0 else 0
    green = [_green((arm - first) % 4) for arm in range(4)]
    plan = Plan(0.1, 0.0, stop_line_m=stop, green_s=green[0])
    actors.add_ego(
        actors.route_through(junction.way(0, junction.ego_out, junction.ego_lane)),
        stop - 2.6 - before,
        9.0,
        plan,
    )
    for arm in range(4):
        for lane_number in range(junction.lanes):
            is_own = arm == 0 and lane_number == junction.ego_lane
            skip = stop - 2.6 - before if is_own else None
            _queue(junction, actors, (arm, lane_number), green[arm], skip)
            _leaving(junction, actors, (arm, lane_number))
    _standing(junction, actors)
    _people(junction, actors)


def _green(turn: int) -> tuple[float, float]:
    """Returns when the arm that has the `turn`-th green may go; the first is green already."""
    begin = turn * _PHASE_S - 4.0
    return (-np.inf, begin + _PHASE_S - 1.5) if turn == 0 else (begin + 1.0, begin + _PHASE_S - 1.5)


def _queue(
    junction: Junction,
    actors: Actors,
    lane: tuple[int, int],
    green_s: tuple[float, float],
    skip_m: float | None,
) -> None:
    """Adds vehicles that come in by a lane, from the stop line back, with a gap for the ego."""
    arm, number = lane
    rng = random_generator(junction.seed, 5, arm, number)
    stop = junction.length_m - junction.half_m - _STOP_M
    routes = {
        out: actors.route_through(junction.way(arm, out, number)) for out in range(4) if out != arm
    }
    waits = green_s[0] > -np.inf
    start, big = stop - rng.uniform(3.0, 5.0), arm in (1, 2) and number == 0
    while start > junction.length_m - junction.reach_m(arm):
        out = int(rng.choice(_exits(arm, number, junction.lanes)))
        class_id = (CAR, CAR, CAR, CAR, TRUCK)[int(rng.integers(5))]
        if big:
            class_id, big, start = (BUS if arm == 1 else TRUCK), False, start - 4.0
        if skip_m is None or abs(start - skip_m) > 11.0:
            plan = Plan(0.15, rng.uniform(0, 6), stop_line_m=stop, green_s=green_s)
            actors.add_moving(class_id, routes[out], start, 9.0 * rng.uniform(0.85, 1.1), plan)
        start -= 5.0 if class_id == BUS else 0.0
        near = stop - start < 30.0
        start -= rng.uniform(10.0, 12.0) if waits and near else rng.uniform(15.0, 38.0)


def _leaving(junction: Junction, actors: Actors, lane: tuple[int, int]) -> None:
    """Adds vehicles that have passed the junction and leave by an arm, and riders that come and
    go."""
    arm, number = lane
    rng = random_generator(junction.seed, 6, arm, number)
    route = actors.route_through(junction.way((arm + 2) % 4, arm, number))
    middle = junction.length_m
    for start in np.arange(middle + junction.half_m + 14.0, middle + junction.reach_m(arm), 24.0):
        if rng.random() < 0.55:
            actors.add_moving(CAR, route, start + rng.uniform(-6, 6), 9.5, Plan(0.1))
    if number == 0:
        street = junction.arms[arm]
        d = street.carriageway_m - 0.9
        span = (junction.half_m, junction.reach_m(arm))
        for side in (-1, 1):
            points = street_actors.lane_points(street, side * d, *span, side)
            lane_route, length = actors.route_through(points), span[1] - span[0]
            stop = length - _STOP_M - 1.0
            plan = Plan(stop_line_m=stop, green_s=(np.inf, np.inf)) if side > 0 else Plan()
            for begin in np.arange(length - 14.0 if side > 0 else 6.0, 0.0, -26.0):
                actors.add_moving(NON_MOTOR, lane_route, begin, rng.uniform(3.5, 5.0), plan)


def _standing(junction: Junction, actors: Actors) -> None:
    """Adds what stands in the parking places and at the kerbs, clear of the zebra crossings."""
    for arm, street in enumerate(junction.arms):
        span = (junction.half_m + 16.0, junction.reach_m(arm))
        street_actors.parked(street, actors, span)
        street_actors.at_kerbs(street, actors, span)


def _people(junction: Junction, actors: Actors) -> None:
    for arm, street in enumerate(junction.arms):
        rng = random_generator(junction.seed, 8, arm)
        street_actors.crossing_people(street, actors, junction.half_m + _ZEBRA_M, rng)
        for side in (-1, 1):
            span = (junction.half_m + 7.0, junction.reach_m(arm))
            street_actors.walkers(street, actors, side, span)
        _at_corner(junction, actors, arm)


def _at_corner(junction: Junction, actors: Actors, arm: int) -> None:
    """Adds people who wait at a corner, between kerb and building line."""
    rng = random_generator(junction.seed, 9, arm)
    kerb, half = junction.arms[0].kerb_m, junction.half_m
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    for _ in range(int(rng.integers(1, 4))):
        at = np.array([*rng.uniform(kerb + 2.4, half - 0.4, 2), KERB_HEIGHT_M])
        at[:2] = at[:2] @ np.linalg.matrix_power(turn, arm)
        actors.add_standing(PERSON, junction.place(at), rng.uniform(-np.pi, np.pi))


def _lines(junction: Junction) -> list[MapLine]:
    half, kerb = junction.half_m, junction.arms[0].kerb_m
    lines: list[MapLine] = []
    for arm, street in enumerate(junction.arms):
        lines += scenery.map_lines(street, half, junction.reach_m(arm))
        line = straight((0.0, 0.0), street.bend.heading_rad)
        stop = half + _STOP_M
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
    street, begin = junction.arms[arm], junction.half_m + _STOP_M + 6.0
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
        edges = np.array([[half + _ZEBRA_M - 1.6, half + _ZEBRA_M + 1.9]])
        for d in np.arange(-street.carriageway_m + 0.3, street.carriageway_m - 0.5, 1.1):
            parts.append(surface(ribbon(street.local, edges, d, d + 0.55), MARK))
        stop = np.array([[half + _STOP_M - 0.2, half + _STOP_M + 0.2]])
        parts.append(surface(ribbon(street.local, stop, 0.1, junction.lanes * LANE_M), MARK))
        parts += [filled(outline) for outline in _arrows(junction, arm)]
        at = street.local(half + _ZEBRA_M + 2.6, street.kerb_m + 0.5, KERB_HEIGHT_M)
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
