"""Collision filter: keeps the bodies that never touch a body of higher precedence."""

from __future__ import annotations

import numpy as np

from leapai.types.vocabulary import BoolArray, FloatArray, IntArray

_MARGIN_M = 0.12


def collision_free(outlines: FloatArray, size_m: FloatArray, precedence: IntArray) -> IntArray:
    """Returns the indices [M], ascending, of the bodies that stay.

    `outlines` [K, N, 3] are x, y and heading of N bodies at K instants, `size_m` [N, 2] length and
    width. A body of low `precedence` [N] stays where it touches one of a higher number.
    """
    touching: set[tuple[int, int]] = set()
    moves = (np.ptp(outlines, axis=0) > 0).any(-1)
    for k, at in enumerate(outlines):
        one, other = _near(at, size_m, np.ones_like(moves) if k == 0 else moves)
        met = _overlap(at, size_m, one, other)
        touching.update(zip(one[met].tolist(), other[met].tolist(), strict=True))
    stays = np.ones(len(size_m), bool)
    ranked = [sorted(pair, key=lambda i: precedence[i]) for pair in touching]
    for first, second in sorted(ranked, key=lambda pair: tuple(precedence[pair])):
        if stays[first]:
            stays[second] = False
    return np.flatnonzero(stays)


def _near(at: FloatArray, size_m: FloatArray, moves: BoolArray) -> tuple[IntArray, IntArray]:
    """Returns pairs of bodies whose circumscribed circles meet; the first of a pair moves."""
    movers = np.flatnonzero(moves)
    reach = np.linalg.norm(size_m, axis=1) / 2 + _MARGIN_M
    x, y = (at[movers, None, i] - at[None, :, i] for i in range(2))
    near = x * x + y * y < (reach[movers, None] + reach) ** 2
    near &= movers[:, None] != np.arange(len(at))
    i, other = np.nonzero(near)
    return movers[i], other


def _overlap(at: FloatArray, size_m: FloatArray, one: IntArray, other: IntArray) -> BoolArray:
    """Returns whether rectangles overlap or nearly do [P]: no axis of either separates them
    (SAT)."""
    apart = at[other, :2] - at[one, :2]
    half = size_m / 2 + _MARGIN_M / 2
    axes = np.stack([np.cos(at[:, 2]), np.sin(at[:, 2])], -1)
    across = np.stack([-axes[:, 1], axes[:, 0]], -1)
    met = np.ones(len(one), bool)
    for body in (one, other):
        for axis in (axes[body], across[body]):
            reach = sum(
                half[b, 0] * np.abs((axes[b] * axis).sum(-1))
                + half[b, 1] * np.abs((across[b] * axis).sum(-1))
                for b in (one, other)
            )
            met &= np.abs((apart * axis).sum(-1)) < reach
    return met
