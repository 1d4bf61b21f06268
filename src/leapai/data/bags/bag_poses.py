"""Transforms of a bag: a tree of frames, each placed in its parent at any time that is covered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from leapai.data.bags.bag_file import listed
from leapai.geometry import poses
from leapai.types import BoolArray, FloatArray, IntArray


class NoPoseError(ValueError):
    """A transform that the bag does not have, or not at that time."""


@dataclass(frozen=True)
class PoseTrack:
    """Poses `parent_from_child` over time; one alone holds for all times where it is `fixed`."""

    time_us: IntArray
    """[K] int64, strictly increasing."""
    poses: FloatArray
    """[K, 4, 4] float64."""
    max_gap_s: float
    """Poses are not interpolated over more than this."""
    max_extrapolation_s: float
    """Motion goes on for at most this before the first and after the last pose."""
    fixed: bool = False

    def covers(self, time_us: IntArray) -> BoolArray:
        """Returns whether there is a pose at times [N]."""
        if self.fixed:
            return np.ones(len(time_us), bool)
        first, last = self._neighbours(time_us)
        begin, end = self.time_us[first], self.time_us[last]
        outside_us = np.maximum(begin - time_us, time_us - end)
        known = (time_us == begin) | (time_us == end) | (end - begin <= self.max_gap_s * 1e6)
        return np.asarray(known & (outside_us <= self.max_extrapolation_s * 1e6))

    def at(self, time_us: IntArray) -> FloatArray:
        """Returns the poses at times [N] as [N, 4, 4]: positions move linearly, rotations on the
        sphere. Raises NoPoseError where a time is not covered."""
        if self.fixed:
            return np.broadcast_to(self.poses[0], (len(time_us), 4, 4))
        missing = np.flatnonzero(~self.covers(time_us))
        if len(missing):
            raise NoPoseError(
                f"there is no pose at {int(time_us[missing[0]])} us: they reach from "
                f"{int(self.time_us[0])} to {int(self.time_us[-1])} us, with gaps over "
                f"{self.max_gap_s:g} s left open (max_pose_gap_s, max_extrapolation_s)"
            )
        first, last = self._neighbours(time_us)
        span_us = self.time_us[last] - self.time_us[first]
        share = (time_us - self.time_us[first]) / np.maximum(span_us, 1)
        return poses.between(self.poses[first], self.poses[last], share)

    def _neighbours(self, time_us: IntArray) -> tuple[IntArray, IntArray]:
        """Returns the poses before and after times [N]; outside of all, the two that are
        nearest."""
        latest = len(self.time_us) - 1
        after = np.clip(
            np.searchsorted(self.time_us, time_us, side="right"), min(1, latest), latest
        )
        return np.maximum(after - 1, 0), after


@dataclass(frozen=True)
class TransformTree:
    """Frames by name: child -> its parent, and its pose there."""

    parents: Mapping[str, tuple[str, PoseTrack]]

    def pose(self, dst: str, src: str, time_us: IntArray) -> FloatArray:
        """Returns `dst_from_src` at times [N] as [N, 4, 4] float64. Raises NoPoseError where the
        frames are not connected, or not at a time."""
        up, down = self._to_common(dst, src)
        return poses.invert(self._along(up, time_us)) @ self._along(down, time_us)

    def covers(self, dst: str, src: str, time_us: IntArray) -> BoolArray:
        """Returns whether `dst_from_src` is known at times [N]. Raises NoPoseError where the frames
        are not connected."""
        up, down = self._to_common(dst, src)
        known = np.ones(len(time_us), bool)
        for frame in (*up, *down):
            known &= self.parents[frame][1].covers(time_us)
        return known

    def _to_common(self, dst: str, src: str) -> tuple[list[str], list[str]]:
        """Returns the frames on the ways from both up to the first that they share."""
        up, down = self._ancestors(dst), self._ancestors(src)
        shared = next((frame for frame in up if frame in down), None)
        if shared is None:
            known = {*self.parents, *(parent for parent, _ in self.parents.values())}
            raise NoPoseError(
                f"no transform connects the frames {dst!r} and {src!r}; frames of the bag: "
                f"{listed(known)}"
            )
        return up[: up.index(shared)], down[: down.index(shared)]

    def _ancestors(self, frame: str) -> list[str]:
        found = [frame]
        while found[-1] in self.parents:
            parent = self.parents[found[-1]][0]
            if parent in found:
                raise NoPoseError(f"the transforms lead from frame {parent!r} to itself")
            found.append(parent)
        return found

    def _along(self, frames: list[str], time_us: IntArray) -> FloatArray:
        """Returns the pose of the first frame in the parent of the last one [N, 4, 4]."""
        pose = np.broadcast_to(np.eye(4), (len(time_us), 4, 4))
        for frame in frames:
            pose = self.parents[frame][1].at(time_us) @ pose
        return pose
