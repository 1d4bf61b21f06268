"""Traffic simulation: all moving bodies stepped once through a drive, at 10 Hz.

The motion is exact between the steps. Each body moves along its route. Its speed is decided by the
intelligent driver model (Treiber, Hennecke and Helbing 2000) against whatever lies or is about to
lie on the next 32 m of its route, against red lights and against stop lines, where it waits for a
gap in the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray
from leapai_world.smooth_step import smooth_step
from leapai_world.traffic.routes import Routes

STEP_S = 0.1
START_S = -0.5
"""Time of the first step: sensors look a little before the first frame."""
_AHEAD_M: FloatArray = np.arange(0.0, 33.0, 1.0)
_NEAR_M = 46.0
_GAP_S = 1.6
"""Two bodies that would be at one place less than this apart in time are in conflict."""
_STOPPING_S = 0.5
"""Time constant with which a body comes to rest."""
_BRAKE_MPS2 = 2.0
_HARDEST_MPS2 = 8.0
_JERK_MPS3 = 12.0
_SETTLING = 8
"""Number of times that first speeds are lowered to the traffic ahead."""


@dataclass(frozen=True)
class Agents:
    """N bodies that move; all arrays are [N] float64 unless stated otherwise."""

    length_m: FloatArray
    width_m: FloatArray
    start_m: FloatArray
    speed_mps: FloatArray
    """Desired speed; 0: a red light that never turns green."""
    speed_variation: FloatArray
    """Share by which the desired speed goes up and down."""
    phase_rad: FloatArray
    walks: BoolArray
    route: IntArray
    next_route: IntArray
    """Route that is followed after the scripted part; -1: none."""
    scripted_s: FloatArray
    """[N, 2] times at which the scripted part begins and ends."""
    scripted_m: FloatArray
    """Length of the scripted part."""
    stop_line_m: FloatArray
    """Distance s of a line to wait at; -1: none."""
    yield_zone_m: FloatArray
    """Length beyond the stop line in which others must leave a gap; 0: only the light counts."""
    green_s: FloatArray
    """[N, 2] times between which the light is green; it is red before and after."""


@dataclass(frozen=True)
class TrajectorySamples:
    """Trajectory samples: s, its speed and its acceleration [K, N] every `STEP_S`, and the route
    from each on."""

    s: FloatArray
    v: FloatArray
    a: FloatArray
    route: IntArray

    def of(
        self, bodies: IntArray, time_s: float
    ) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        """Returns s, first and second derivative, and route of bodies [M]: quintic Hermite between
        the samples."""
        s, v, a = self._all(time_s)
        return s[bodies], v[bodies], a[bodies], self.route[self._interval(time_s)][bodies]

    def _interval(self, time_s: float) -> int:
        return min(max(int((time_s - START_S) / STEP_S), 0), len(self.s) - 2)

    def _all(self, time_s: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        k = self._interval(time_s)
        x, h = (time_s - START_S) / STEP_S - k, STEP_S
        s0, v0, a0 = self.s[k], self.v[k] * h, self.a[k] * h * h / 2
        gain = self.s[k + 1] - s0 - v0 - a0
        rate = self.v[k + 1] * h - v0 - 2 * a0
        bend = self.a[k + 1] * h * h / 2 - a0
        c3 = 10 * gain - 4 * rate + bend
        c4 = -15 * gain + 7 * rate - 2 * bend
        c5 = 6 * gain - 3 * rate + bend
        s = s0 + x * (v0 + x * (a0 + x * (c3 + x * (c4 + x * c5))))
        v = (v0 + x * (2 * a0 + x * (3 * c3 + x * (4 * c4 + x * 5 * c5)))) / h
        a = (2 * a0 + x * (6 * c3 + x * (12 * c4 + x * 20 * c5))) / h**2
        return s, v, a


def simulate(routes: Routes, agents: Agents, duration_s: float) -> TrajectorySamples:
    """Simulates the motion of all agents from `START_S` to at least `duration_s`."""
    count = int(np.ceil((duration_s - START_S) / STEP_S)) + 3
    shape = (count, len(agents.start_m))
    s, v, a = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    route = np.zeros(shape, np.int64)
    s[0], route[0] = agents.start_m, agents.route
    v[0] = _first_speed(routes, agents)
    for k in range(count):
        now = START_S + k * STEP_S
        _follow_script(agents, now, (s[k], v[k], a[k], route[k]))
        if k + 1 == count:
            break
        if k % 2 == 0:
            target = _acceleration(routes, agents, (s[k], v[k], route[k]), now)
        change = np.clip(target - a[k], -2.5 * _JERK_MPS3 * STEP_S, _JERK_MPS3 * STEP_S)
        a[k + 1] = np.maximum(a[k] + change, -v[k] / _STOPPING_S)
        v[k + 1] = v[k] + STEP_S * (a[k] + a[k + 1]) / 2
        s[k + 1] = s[k] + STEP_S * v[k] + STEP_S**2 * (2 * a[k] + a[k + 1]) / 6
        route[k + 1] = route[k]
    return TrajectorySamples(s, v, a, route)


def _first_speed(routes: Routes, agents: Agents) -> FloatArray:
    """Returns the speed [N] that each has settled at where it stands, as if all others had long
    been there too."""
    speed = _desired_speed(routes, agents, agents.start_m, agents.route, START_S)
    room = agents.stop_line_m - agents.start_m - agents.length_m / 2
    closed = (room > -0.2) & ((agents.green_s[:, 0] > START_S) | (agents.yield_zone_m > 0))
    speed[closed] = np.minimum(speed, np.sqrt(3.0 * np.maximum(room - 1.5, 0.0)))[closed]
    speed[agents.scripted_m > 0] = 0.0
    for _ in range(_SETTLING):
        change = _acceleration(routes, agents, (agents.start_m, speed, agents.route), START_S)
        slower = np.maximum(speed + 0.25 * np.minimum(change, 0.0), 0.0)
        speed = np.where(agents.scripted_m > 0, 0.0, slower)
    return speed


def _follow_script(
    agents: Agents, now_s: float, state: tuple[FloatArray, FloatArray, FloatArray, IntArray]
) -> None:
    """Moves the agents on a scripted part to where the script has them, and at its end to the route
    that follows."""
    s, v, a, route = state
    lasts = np.maximum(agents.scripted_s[:, 1] - agents.scripted_s[:, 0], STEP_S)
    step, step1, step2 = smooth_step((now_s - agents.scripted_s[:, 0]) / lasts)
    on = (agents.scripted_m > 0) & (now_s < agents.scripted_s[:, 1] + STEP_S / 2)
    s[on] = (agents.start_m + agents.scripted_m * step)[on]
    v[on] = (agents.scripted_m * step1 / lasts)[on]
    a[on] = (agents.scripted_m * step2 / lasts**2)[on]
    done = on & (now_s > agents.scripted_s[:, 1] - STEP_S / 2)
    route[done] = agents.next_route[done]


def _desired_speed(
    routes: Routes, agents: Agents, s: FloatArray, route: IntArray, now_s: float
) -> FloatArray:
    swing = 1 + agents.speed_variation * np.sin(0.55 * now_s + agents.phase_rad)
    bends = np.where(agents.walks, np.inf, routes.speed_limit(route, s))
    desired_mps: FloatArray = np.minimum(agents.speed_mps * swing, bends)
    return desired_mps


def _acceleration(
    routes: Routes, agents: Agents, state: tuple[FloatArray, FloatArray, IntArray], now_s: float
) -> FloatArray:
    """Returns the desired acceleration [N], m/s^2."""
    s, v, route = state
    strength = np.where(agents.walks, 0.9, 1.6)
    free = strength * (
        1 - (v / np.maximum(_desired_speed(routes, agents, s, route, now_s), 0.1)) ** 4
    )
    body, gap, leader = _conflicts(routes, agents, state)
    at_line, room = _waits(routes, agents, state, now_s)
    at_end = np.arange(len(s))
    body = np.concatenate([body, at_line, at_end])
    gap = np.concatenate([gap, room, routes.last_m[route] - s - agents.length_m / 2])
    leader = np.concatenate([leader, np.zeros(len(at_line) + len(s))])
    closing = v[body] * (v[body] - leader) / (2 * np.sqrt(strength[body] * _BRAKE_MPS2))
    still, headway = np.where(agents.walks, 0.5, 1.8)[body], np.where(agents.walks, 0.5, 1.1)[body]
    desired_gap = still + np.maximum(v[body] * headway + closing, 0)
    worst = np.zeros(len(s))
    np.maximum.at(worst, body, strength[body] * (desired_gap / np.maximum(gap, 0.1)) ** 2)
    return np.maximum(free - worst, -_HARDEST_MPS2)


def _ahead(routes: Routes, agents: Agents, s: FloatArray, route: IntArray) -> FloatArray:
    """Returns points [N, M, 2] on the routes from the front of each body on."""
    at = s[:, None] + agents.length_m[:, None] / 2 + _AHEAD_M
    along = np.broadcast_to(route[:, None], at.shape)
    beyond = np.minimum(at, routes.last_m[along])
    return routes.position(along, beyond)[..., :2]


def _conflicts(
    routes: Routes, agents: Agents, state: tuple[FloatArray, FloatArray, IntArray]
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Returns the agents [P] that have another body ahead, the distance, and the speed at which
    that one moves away."""
    s, v, route = state
    place = routes.position(route, s)[:, :2]
    direction = routes.derivatives(route, s)[0][:, :2]
    x, y = (place[None, :, i] - place[:, None, i] for i in range(2))
    in_front = x * direction[:, None, 0] + y * direction[:, None, 1] > 0
    reach = np.where(agents.walks, 10.0, _NEAR_M)[:, None]
    near = in_front & (x * x + y * y < reach**2)
    np.fill_diagonal(near, val=False)
    one, other = np.nonzero(near)
    offset = _ahead(routes, agents, s, route)[one] - place[other, None]
    cosine, sine = direction[other].T[..., None]
    x = offset[..., 0] * cosine + offset[..., 1] * sine
    y = offset[..., 1] * cosine - offset[..., 0] * sine
    # Where a walker will be within 1.2 s counts as taken.
    soon = np.where(agents.walks & ~(agents.scripted_m > 0), 1.2 * v, 0.0)[other, None]
    half = (agents.length_m[other, None] + soon) / 2
    half_width = (agents.width_m[one] + agents.width_m[other])[:, None] / 2 + 0.25
    outside = np.maximum(np.abs(x - soon / 2) - half - 0.3, np.abs(y) - half_width)
    met = outside <= 0
    hit = np.flatnonzero(met.any(1))
    first = met[hit].argmax(1)
    before, after = outside[hit, np.maximum(first - 1, 0)], outside[hit, first]
    share = np.where(first > 0, after / np.minimum(after - before, -1e-9), 0.0)
    one, other = one[hit], other[hit]
    leader = np.maximum((direction[one] * direction[other]).sum(-1) * v[other], 0)
    return one, _AHEAD_M[first] - share, leader


def _waits(
    routes: Routes, agents: Agents, state: tuple[FloatArray, FloatArray, IntArray], now_s: float
) -> tuple[IntArray, FloatArray]:
    """Returns the agents [W] that must wait at their stop line, and the distance of the line from
    their front."""
    s, v, _ = state
    room = agents.stop_line_m - s - agents.length_m / 2
    stoppable = room > v**2 / (2 * 4.5)
    coming = (agents.stop_line_m >= 0) & (room > -0.2) & (room < 40.0) & stoppable
    red = (now_s < agents.green_s[:, 0]) | (now_s > agents.green_s[:, 1])
    waits = coming & red
    asking = np.flatnonzero(coming & ~red & (agents.yield_zone_m > 0) & (room < 6.0))
    if len(asking):
        waits[asking] = _is_taken(routes, agents, state, asking)
    body = np.flatnonzero(waits)
    return body, room[body] + 0.5


def _is_taken(
    routes: Routes,
    agents: Agents,
    state: tuple[FloatArray, FloatArray, IntArray],
    asking: IntArray,
) -> BoolArray:
    """Returns whether others will be, at nearly the same time, where each of `asking` [A] is about
    to go."""
    s, v, route = state
    beyond = np.arange(0.0, 16.0, 1.2)
    drives = np.flatnonzero(~agents.walks & (v > 0.3))
    place = routes.position(route, s)[:, :2]
    apart = place[asking, None] - place[None, drives]
    near = ((apart**2).sum(-1) < _NEAR_M**2) & (asking[:, None] != drives)
    i, j = np.nonzero(near)
    one, other = asking[i], drives[j]
    at = agents.stop_line_m[one, None] + beyond
    mine = routes.position(np.broadcast_to(route[one, None], at.shape), at)[..., :2]
    pace = np.where(agents.walks, 1.3, 3.5)[one, None]
    my_time = np.where(beyond < agents.yield_zone_m[one, None], beyond / pace, np.inf)
    theirs = _ahead(routes, agents, s, route)[other]
    late = my_time[:, :, None] - (_AHEAD_M / v[other, None])[:, None]
    reach = (agents.width_m[one] + agents.width_m[other]) / 2 + 0.7
    apart = ((mine[:, :, None] - theirs[:, None]) ** 2).sum(-1)
    meet = (apart < reach[:, None, None] ** 2) & (late > -_GAP_S) & (late < _GAP_S + 1.0)
    taken = np.zeros(len(asking), bool)
    np.logical_or.at(taken, i, meet.any((1, 2)))
    return taken
