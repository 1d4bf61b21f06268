"""Meshes of people: x forward, z up, the ground at z = 0; one mesh for each phase of the step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from leapai.types.vocabulary import FloatArray
from leapai_world.actors.colours import (
    BRIGHT,
    CLOTHES,
    COAT,
    DARK,
    HAIRS,
    METAL,
    SKINS,
    TROUSER,
    TROUSERS,
    pick,
)
from leapai_world.meshes import Material, Mesh, block, ellipsoid, joined, loft, tube

Generator = np.random.Generator
STEP_PHASES = 8
"""Number of meshes of one whole stride, left and right step; the mesh after them stands."""
_THIGH_M, _SHIN_M = 0.43, 0.41


@dataclass(frozen=True)
class Clothes:
    """Materials of one person's clothes, skin and hair."""

    top: Material
    bottom: Material
    skin: Material
    hair: Material
    shoes: Material

    @staticmethod
    def draw(rng: Generator) -> Clothes:
        """Draws the clothes of one person."""
        return Clothes(
            pick(CLOTHES, rng, COAT),
            pick(TROUSERS, rng, TROUSER),
            pick(SKINS, rng),
            pick(HAIRS, rng),
            DARK,
        )


@dataclass(frozen=True)
class Pose:
    """Joints (x, z) in metres of a person of about 1.75 m; left before right."""

    hip: tuple[float, float]
    shoulder: tuple[float, float]
    knees: tuple[tuple[float, float], ...]
    feet: tuple[tuple[float, float], ...]
    elbows: tuple[tuple[float, float], ...]
    hands: tuple[tuple[float, float], ...]


def _oval(x: float, z: float, half_length: float, half_width: float) -> FloatArray:
    angle = np.arange(8) * (2 * np.pi / 8)
    return np.stack(
        [x + half_length * np.cos(angle), half_width * np.sin(angle), np.full(8, z)], -1
    )


def trunk(
    hip: tuple[float, float], shoulder: tuple[float, float], of: Clothes, head: float = 1.0
) -> list[Mesh]:
    """Builds hips, chest, neck and a head with hair, `head` times as large as an adult's."""
    (hx, hz), (sx, sz) = hip, shoulder
    chest = [
        _oval(hx, hz + 0.06, 0.115, 0.155),
        _oval(0.35 * hx + 0.65 * sx, 0.35 * hz + 0.65 * sz, 0.125, 0.185),
        _oval(sx, sz - 0.04, 0.115, 0.205),
        _oval(sx, sz + 0.02, 0.07, 0.11),
    ]
    face, hair = np.array([0.10, 0.08, 0.125]), np.array([0.105, 0.088, 0.105])
    return [
        loft([_oval(hx, hz - 0.10, 0.11, 0.16), _oval(hx, hz + 0.10, 0.115, 0.155)], of.bottom),
        loft(chest, of.top),
        tube((sx, 0, sz), (sx + 0.02, 0, sz + 0.10), 0.055, of.skin, 6),
        ellipsoid((sx + 0.03, 0, sz + 0.06 + 0.13 * head), head * face, of.skin),
        ellipsoid((sx + 0.005, 0, sz + 0.06 + 0.165 * head), head * hair, of.hair),
    ]


def arms_and_legs(pose: Pose, of: Clothes) -> list[Mesh]:
    """Builds legs with shoes and arms with hands."""
    (hx, hz), (sx, sz) = pose.hip, pose.shoulder
    parts = []
    for (kx, kz), (fx, fz), y in zip(pose.knees, pose.feet, (0.09, -0.09), strict=True):
        parts += [
            tube((hx, y, hz), (kx, y, kz), (0.085, 0.062), of.bottom, 6),
            tube((kx, y, kz), (fx, y, fz + 0.05), (0.062, 0.045), of.bottom, 6),
            block((fx - 0.08, y - 0.045, fz), (fx + 0.17, y + 0.045, fz + 0.08), of.shoes, 0.8),
        ]
    for (ex, ez), (ax, az), side in zip(pose.elbows, pose.hands, (1, -1), strict=True):
        parts += [
            tube((sx, side * 0.20, sz - 0.03), (ex, side * 0.26, ez), (0.058, 0.045), of.top, 6),
            tube((ex, side * 0.26, ez), (ax, side * 0.25, az), (0.045, 0.035), of.top, 6),
            ellipsoid((ax, side * 0.25, az - 0.03), (0.045, 0.035, 0.06), of.skin, 6),
        ]
    return parts


def _leg(angle: float) -> tuple[FloatArray, FloatArray]:
    """Returns knee and ankle relative to the hip at an angle of the stride. The thigh swings as a
    sine; the knee bends while the leg comes forward."""
    thigh = 0.06 + 0.36 * np.sin(angle)
    shin = thigh - 0.08 - 0.85 * max(0.0, np.cos(angle)) ** 1.5
    knee = _THIGH_M * np.array([np.sin(thigh), -np.cos(thigh)])
    return knee, knee + _SHIN_M * np.array([np.sin(shin), -np.cos(shin)])


def step(phase: int) -> Pose:
    """Returns the pose at a phase of the stride: 0 has the left leg far in front, `STEP_PHASES`
    stands. The lower foot is on the ground."""
    if phase == STEP_PHASES:
        knees, feet = ((0.03, 0.49), (0.0, 0.49)), ((0.0, 0.0), (-0.02, 0.0))
        elbows, hands = ((-0.04, 1.14), (-0.02, 1.14)), ((0.04, 0.90), (0.02, 0.90))
        return Pose((0.0, 0.90), (0.02, 1.44), knees, feet, elbows, hands)
    angles = 2 * np.pi * phase / STEP_PHASES + np.array([0.5, 1.5]) * np.pi
    legs = [_leg(angle) for angle in angles]
    hip = -min(float(ankle[1]) for _, ankle in legs)
    swings = -0.40 * np.sin(angles)
    elbow = [(0.03 + 0.28 * np.sin(a), hip + 0.51 - 0.28 * np.cos(a)) for a in swings]
    hand = [
        (x + 0.25 * np.sin(a + 0.35), z - 0.25 * np.cos(a + 0.35))
        for (x, z), a in zip(elbow, swings, strict=True)
    ]
    return Pose(
        hip=(0.0, hip),
        shoulder=(0.04, hip + 0.54),
        knees=tuple((float(knee[0]), hip + float(knee[1])) for knee, _ in legs),
        feet=tuple((float(ankle[0]), hip + float(ankle[1])) for _, ankle in legs),
        elbows=tuple((float(x), float(z)) for x, z in elbow),
        hands=tuple((float(x), float(z)) for x, z in hand),
    )


def _skirt(pose: Pose, of: Material) -> Mesh:
    """Builds cloth around the thighs, as wide as the knees stand apart."""
    (hx, hz), knees = pose.hip, np.array(pose.knees)
    middle, spread = knees[:, 0].mean(), np.ptp(knees[:, 0]) / 2
    low = float(knees[:, 1].min())
    return loft([_oval(middle, low, 0.13 + spread, 0.20), _oval(hx, hz + 0.08, 0.12, 0.16)], of)


def _umbrella(hand: tuple[float, float], of: Material) -> list[Mesh]:
    """Builds an open umbrella, held overhead in the left hand."""
    x, z = hand[0] - 0.14, 2.02
    angle = np.arange(8) * (2 * np.pi / 8)
    rim = np.stack([x + 0.48 * np.cos(angle), 0.1 + 0.48 * np.sin(angle), np.full(8, z - 0.20)], -1)
    crown = np.stack([x + 0.2 * np.cos(angle), 0.1 + 0.2 * np.sin(angle), np.full(8, z - 0.04)], -1)
    tip = np.stack([x + 0.01 * np.cos(angle), 0.1 + 0.01 * np.sin(angle), np.full(8, z)], -1)
    return [
        loft([rim, crown, tip], of),
        tube((hand[0], 0.25, hand[1] - 0.06), (x, 0.1, z), 0.012, METAL, 4),
    ]


def _carried(kind: str, pose: Pose, of: Material) -> list[Mesh]:
    """Builds the load of a person: `rucksack`, `bag`, `umbrella`, or `` (nothing)."""
    sx, sz = pose.shoulder
    if kind == "rucksack":
        return [block((sx - 0.33, -0.15, sz - 0.44), (sx - 0.11, 0.15, sz), of, 0.85)]
    if kind == "bag":
        x, z = pose.hands[1]
        return [block((x - 0.16, -0.32, z - 0.40), (x + 0.16, -0.20, z - 0.08), of, 0.9)]
    if kind == "umbrella":
        return _umbrella(pose.hands[0], of)
    return []


def _holding_up(pose: Pose) -> Pose:
    """Returns the pose with the left forearm raised."""
    sx, sz = pose.shoulder
    elbow, hand = (sx + 0.08, sz - 0.27), (sx + 0.22, sz - 0.12)
    return replace(pose, elbows=(elbow, pose.elbows[1]), hands=(hand, pose.hands[1]))


def _walker(carries: str, head: float, rng: Generator, phase: int) -> Mesh:
    of, carried, skirted = Clothes.draw(rng), pick(BRIGHT, rng), rng.random() < 0.3
    pose = step(phase)
    if carries == "umbrella":
        pose = _holding_up(pose)
    parts = [*trunk(pose.hip, pose.shoulder, of, head), *arms_and_legs(pose, of)]
    parts += _carried(carries, pose, carried)
    if skirted:
        parts.append(_skirt(pose, of.bottom))
    return joined(parts)


def adult(size: FloatArray, rng: Generator, phase: int) -> Mesh:
    """Builds a person who carries nothing, a rucksack or a bag; all are built at one height."""
    del size
    return _walker(("", "", "rucksack", "bag")[rng.integers(4)], 1.0, rng, phase)


def child(size: FloatArray, rng: Generator, phase: int) -> Mesh:
    """Builds a small person whose head is large for the body, at an adult's height."""
    del size
    return _walker(("", "rucksack")[rng.integers(2)], 1.3, rng, phase)


def with_umbrella(size: FloatArray, rng: Generator, phase: int) -> Mesh:
    """Builds an adult under an open umbrella."""
    del size
    return _walker("umbrella", 1.0, rng, phase)
