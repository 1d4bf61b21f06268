"""Who is in the street, and where each of them is at any time: closed formulas of time, nothing is
stepped.

Bodies that share a lane move as a platoon: one common motion, plus a small oscillation of each
about its place that is less than half of the gap to its neighbours. So nobody ever passes through
anybody, at any time, without a search. Those who cross the street are checked against the lanes
before they are let go; who finds no gap waits at the kerb.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import numpy as np

from leapai.data.synthetic import shapes
from leapai.data.synthetic.kerbside import (
    PARKING_PITCH_M,
    furniture_kind,
    kerb_slots,
    parking_kind,
    zebra_slots,
)
from leapai.data.synthetic.street import LANE_M, Motion, Street, random_generator, smooth_step
from leapai.types import CLASS_NAMES, BoolArray, FloatArray, IntArray

REACH_M = 150.0
"""Who is never nearer to the ego along the street than this, is not there."""
VEHICLE_PITCH_M = 24.0
RIDER_PITCH_M = 15.0
WALKER_PITCH_M = 5.5
EGO_REAR_AXLE_M = 1.4
"""The rear axle (origin of the ego frame) lies this far behind the middle of the ego vehicle."""
EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M = 2.4, 0.95
_CAR, _TRUCK, _BUS, _PERSON, _NON_MOTOR, _RIDERLESS, _BARRIER, _PILLAR = range(len(CLASS_NAMES))


@dataclass(frozen=True)
class Path:
    """s(t) = start + speed t + swing sin(rate t + phase) + sway sin(sway_rate t + sway_phase); d(t)
    = d + a crossing."""

    start_m: float
    d_m: float
    heading_rad: float = 0.0
    """Of the body, relative to the street."""
    speed_mps: float = 0.0
    swing_m: float = 0.0
    swing_rate: float = 0.0
    swing_phase: float = 0.0
    sway_m: float = 0.0
    sway_rate: float = 0.0
    sway_phase: float = 0.0
    crossing_m: float = 0.0
    """By how much d changes; 0: no crossing."""
    crossing_start_s: float = 0.0
    crossing_duration_s: float = 1.0


Derivatives = FloatArray
"""[3, ...]: a value and its first and second derivative in time."""


def along(paths: FloatArray, time_s: FloatArray | float) -> Derivatives:
    """s of paths [N, 13] at times (broadcast against [N]): [3, ...]."""
    start, speed = paths[:, 0], paths[:, 3]
    t = np.asarray(time_s, np.float64)
    value, first, second = start + speed * t, speed + 0 * t, 0 * (start + t)
    for size, rate, phase in (paths[:, 4:7].T, paths[:, 7:10].T):
        sine, cosine = np.sin(rate * t + phase), np.cos(rate * t + phase)
        value = value + size * sine
        first = first + size * rate * cosine
        second = second - size * rate**2 * sine
    return np.stack([value, first, second])


def across(paths: FloatArray, time_s: FloatArray | float) -> Derivatives:
    """d of paths [N, 13] at times (broadcast against [N]): [3, ...]."""
    size, start, duration = paths[:, 10:13].T
    step, step1, step2 = smooth_step((np.asarray(time_s, np.float64) - start) / duration)
    return np.stack(
        [paths[:, 1] + size * step, size * step1 / duration, size * step2 / duration**2]
    )


@dataclass(frozen=True)
class Actor:
    """One labelled body."""

    class_id: int
    size_m: FloatArray
    """[3] length, width, height."""
    shape: int
    """Index into `shapes.prototypes`."""
    path: Path


class _Lane:
    """One platoon: a common motion, and slots at even distances."""

    def __init__(self, seed: int, lane: int, d_m: float, speed_mps: float, pitch_m: float) -> None:
        rng = random_generator(seed, 1, lane)
        self.seed, self.number, self.d_m, self.pitch_m = seed, lane, d_m, pitch_m
        rates = 2 * np.pi / np.array([rng.uniform(9.0, 16.0), rng.uniform(4.0, 7.0)])
        self._speed = speed_mps * rng.uniform(0.85, 1.15)
        self._swing = 0.55 * abs(self._speed) / rates[0]
        self._swing_rate, self._phases = float(rates[0]), rng.uniform(0, 2 * np.pi, 2)
        self._sway_rate = float(rates[1])
        self._shift_m = rng.uniform(0, pitch_m)

    def path(self, slot: int, *, jitter: float = 0.08, d_m: float = 0.0) -> Path:
        """The path of a slot: even place, `jitter` of the pitch to either side, and a sway of its
        own."""
        rng = random_generator(self.seed, 2, self.number, slot)
        place = slot + rng.uniform(-jitter, jitter) if slot else 0.0
        sway = min(0.05 * self.pitch_m, 0.3 * abs(self._speed) / self._sway_rate)
        return Path(
            start_m=place * self.pitch_m + self._shift_m,
            d_m=self.d_m + d_m,
            heading_rad=0.0 if self._speed >= 0 else np.pi,
            speed_mps=self._speed,
            swing_m=self._swing,
            swing_rate=self._swing_rate,
            swing_phase=self._phases[0],
            sway_m=sway * rng.uniform(0.3, 1.0),
            sway_rate=self._sway_rate * rng.uniform(0.8, 1.0),
            sway_phase=rng.uniform(0, 2 * np.pi),
        )

    def slots(self, low_m: FloatArray, high_m: FloatArray, time_s: FloatArray) -> range:
        """Slots that come between `low_m` and `high_m` [T] at any of the times [T]."""
        moved = along(_stack([self.path(0)]), time_s)[0]
        first, last = (low_m - moved).min() / self.pitch_m, (high_m - moved).max() / self.pitch_m
        return range(int(np.floor(first)) - 1, int(np.ceil(last)) + 2)


def _stack(paths: list[Path]) -> FloatArray:
    return np.array([astuple(path) for path in paths], np.float64).reshape(-1, 13)


class Traffic:
    """The ego and every actor of a drive of `duration_s`."""

    def __init__(self, street: Street, duration_s: float) -> None:
        self._street, self._seed = street, street.seed
        rng = random_generator(self._seed, 3)
        self._first_big = int(rng.integers(2))
        self._ego_lane = int(rng.integers(street.lanes_each_way))
        lane = self._vehicle_lane(self._ego_lane, -1)
        self._ego_path = _stack([lane.path(0)])
        self._times_s = np.arange(0.0, duration_s + 0.5, 0.5)
        ego = along(self._ego_path, self._times_s)[0]
        self._low_m, self._high_m = ego - REACH_M, ego + REACH_M
        self.actors: list[Actor] = [*self._in_lanes(), *self._parked(), *self._at_kerbs()]
        self.actors += self._crossing()
        self._paths = _stack([actor.path for actor in self.actors])
        self.class_id: IntArray = np.array([actor.class_id for actor in self.actors])
        self.shape: IntArray = np.array([actor.shape for actor in self.actors])
        """[N] index into `shapes.prototypes`."""
        self.moves: BoolArray = (self._paths[:, 3] != 0) | (self._paths[:, 10] != 0)
        """[N] whether the actor ever moves."""
        self.size_m: FloatArray = np.array([actor.size_m for actor in self.actors])

    def ego(self, time_s: float) -> Motion:
        """Motion of the ego's origin, as arrays of one body."""
        s = along(self._ego_path, time_s)
        s[0] -= EGO_REAR_AXLE_M
        return self._street.motion(s, across(self._ego_path, time_s))

    def ego_s(self, time_s: FloatArray | float) -> FloatArray:
        """Where the middle of the ego is along the street."""
        s: FloatArray = along(self._ego_path, time_s)[0]
        return s

    def motion(self, time_s: float) -> Motion:
        """Motion of all actors; positions are where they stand, headings those of the bodies."""
        motion = self._street.motion(along(self._paths, time_s), across(self._paths, time_s))
        heading = motion.heading_rad + self._paths[:, 2]
        return Motion(motion.position_m, heading, motion.velocity_mps, motion.acceleration_mps2)

    def _actor(self, class_id: int, path: Path, *look: int) -> Actor:
        rng = random_generator(self._seed, 4, *look)
        size = shapes.draw_size(class_id, rng)
        shape = class_id * shapes.VARIANTS + int(rng.integers(shapes.VARIANTS))
        return Actor(class_id, size, shape, path)

    def _vehicle_lane(self, lane: int, side: int) -> _Lane:
        rng = random_generator(self._seed, 5, lane, side)
        d = side * LANE_M * (lane + 0.5)
        speed = -side * rng.uniform(6.5, 10.5)
        return _Lane(self._seed, 10 * (side + 1) + lane, d, speed, VEHICLE_PITCH_M)

    def _in_lanes(self) -> list[Actor]:
        actors = []
        for side in (-1, 1):
            for number in range(self._street.lanes_each_way):
                own = side == -1 and number == self._ego_lane
                actors += self._vehicles(self._vehicle_lane(number, side), own)
            d = side * (self._street.carriageway_m - 0.9)
            riders = _Lane(self._seed, 5 + side, d, -side * 4.6, RIDER_PITCH_M)
            actors += self._fill(riders, _NON_MOTOR, 0.6)
            for row, direction in ((0, -1), (1, 1)):
                d = side * (self._street.kerb_m + 1.9 + 1.3 * row)
                walkers = _Lane(self._seed, 40 + 2 * side + row, d, direction * 1.3, WALKER_PITCH_M)
                actors += self._fill(walkers, _PERSON, 0.4)
        return actors

    def _fill(self, lane: _Lane, class_id: int, share: float) -> list[Actor]:
        slots = lane.slots(self._low_m, self._high_m, self._times_s)
        return [
            self._actor(class_id, lane.path(slot), lane.number, slot)
            for slot in slots
            if random_generator(self._seed, 6, lane.number, slot).random() < share
        ]

    def _vehicles(self, lane: _Lane, own: bool) -> list[Actor]:
        """Cars, trucks and buses of a lane. The ego's own lane has one of each big kind near the
        ego, always."""
        actors = []
        for slot in lane.slots(self._low_m, self._high_m, self._times_s):
            draw = random_generator(self._seed, 6, lane.number, slot).random()
            if own and slot == 0:
                continue
            if own and slot in (-1, 2):
                class_id = _TRUCK if (slot == 2) == bool(self._first_big) else _BUS
            elif draw > 0.82:
                continue
            else:
                class_id = _CAR if draw < 0.58 else _TRUCK if draw < 0.70 else _BUS
            actors.append(self._actor(class_id, lane.path(slot), lane.number, slot))
        return actors

    def _parked(self) -> list[Actor]:
        actors = []
        for side, slot in kerb_slots(float(self._low_m.min()), float(self._high_m.max())):
            kind = parking_kind(self._seed, side, slot)
            rng = random_generator(self._seed, 7, side, slot)
            s, d = slot * PARKING_PITCH_M, side * (self._street.carriageway_m + 1.15)
            facing = 0.0 if side < 0 else np.pi
            if kind == "car":
                wobble = rng.normal(0, 0.015)
                path = Path(s + rng.uniform(-0.4, 0.4), d + rng.normal(0, 0.06), facing + wobble)
                actors.append(self._actor(_CAR, path, 60 + side, slot))
            elif kind in ("barrier", "bicycles"):
                class_id = _BARRIER if kind == "barrier" else _RIDERLESS
                for place in range(2 if kind == "barrier" else 3):
                    offset = (2.9 * place - 1.45) if kind == "barrier" else 1.3 * (place - 1)
                    turn = 0.0 if kind == "barrier" else np.pi / 2
                    path = Path(
                        s + offset, d + rng.normal(0, 0.1), facing + turn + rng.normal(0, 0.04)
                    )
                    actors.append(self._actor(class_id, path, 60 + side, slot, place))
        return actors

    def _at_kerbs(self) -> list[Actor]:
        """Bicycles and bollards in the strip between kerb and footpath."""
        actors = []
        for side, slot in kerb_slots(float(self._low_m.min()), float(self._high_m.max())):
            kind = furniture_kind(self._seed, side, slot)
            s, d = slot * PARKING_PITCH_M, side * (self._street.kerb_m + 0.85)
            if kind == "bicycle":
                actors.append(
                    self._actor(_RIDERLESS, Path(s, d, np.pi * (slot % 2)), 70 + side, slot)
                )
            elif kind == "bollards":
                for place in range(3):
                    path = Path(s + 1.5 * (place - 1), d)
                    actors.append(self._actor(_PILLAR, path, 70 + side, slot, place))
        return actors

    def _crossing(self) -> list[Actor]:
        """People at the zebra crossings; each goes when a gap in the lanes lets it, or stands and
        waits."""
        vehicles = [
            actor for actor in self.actors if actor.class_id in (_CAR, _TRUCK, _BUS, _NON_MOTOR)
        ]
        moving = [actor for actor in vehicles if actor.path.speed_mps]
        paths = np.concatenate([_stack([actor.path for actor in moving]), self._ego_path])
        lengths = [*(actor.size_m[0] / 2 for actor in moving), EGO_HALF_LENGTH_M]
        widths = [*(actor.size_m[1] / 2 for actor in moving), EGO_HALF_WIDTH_M]
        bodies = (paths, np.array(lengths), np.array(widths))
        actors = []
        for slot in zebra_slots(self._seed, float(self._low_m.min()), float(self._high_m.max())):
            for place in range(4):
                rng = random_generator(self._seed, 8, slot, place)
                path = self._crossing_path(slot, place, bodies, rng)
                actors.append(self._actor(_PERSON, path, 80, slot, place))
        return actors

    def _crossing_path(
        self,
        slot: int,
        place: int,
        bodies: tuple[FloatArray, FloatArray, FloatArray],
        rng: np.random.Generator,
    ) -> Path:
        side = 1.0 if place % 2 else -1.0
        s, d = slot * PARKING_PITCH_M + 1.05 * (place - 1.5), side * (self._street.kerb_m + 0.6)
        waiting = Path(s, d, -side * np.pi / 2)
        near = np.abs(self.ego_s(self._times_s) - s + 25.0).argmin()
        for _ in range(40):
            start = self._times_s[near] + rng.uniform(-6.0, 6.0)
            duration = 2 * abs(d) / rng.uniform(1.3, 2.1)
            path = replace(
                waiting,
                crossing_m=-2 * d,
                crossing_start_s=start,
                crossing_duration_s=duration,
            )
            if _is_clear(path, *bodies):
                return path
        return waiting


def _is_clear(
    path: Path, paths: FloatArray, half_length_m: FloatArray, half_width_m: FloatArray
) -> bool:
    """Whether a crossing keeps a metre from every body at all times."""
    times = path.crossing_start_s + np.arange(0.0, path.crossing_duration_s + 0.2, 0.2)
    d = across(_stack([path]), times)[0]
    ds = np.abs(along(paths, times[:, None])[0] - path.start_m)
    dd = np.abs(paths[:, 1] - d[:, None])  # Who drives keeps its lane.
    return not ((ds < half_length_m + 1.2) & (dd < half_width_m + 1.0)).any()
