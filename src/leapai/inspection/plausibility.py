"""Warnings on a data set that need no recorded number of points: what its frames say of
themselves, held against what any vehicle, rig and road are like."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from leapai.data import columns
from leapai.data.log import DrivingLog
from leapai.data.reading import AnnotatedBoxes
from leapai.inspection import box_evidence, pose_evidence
from leapai.inspection.edge_evidence import SHIFTS, edge_scores
from leapai.inspection.ground_evidence import Ground, fit_ground
from leapai.types import DESIGN, CameraFrame, FloatArray, Frame

MAX_GROUND_M, MAX_TILT_DEG = 0.5, 6.0
"""Height of the ground at the ego's origin, which lies on it, and its tilt: a road of 10 % ends
under the vehicle."""
MAX_INTENSITY, MAX_GROUND_INTENSITY, MAX_SHARE_ABOVE = 1.0, 0.9, 0.01
"""Bounds of an intensity in [0, 1]: asphalt reflects .02 to .4 on the rigs that were measured."""
MIN_BRIGHTEST = 0.05
"""Least intensity of the brightest point: a wall is brighter on every rig that was measured."""
MIN_POINTS, MIN_SHARE_OF_MEDIAN = 500, 0.2
MAX_LATE_S = 0.1
"""One period of a 10 Hz sensor."""
GAP, MAX_SHARE_GAPS = 2.5, 0.05
"""An interval this many times the median is a gap."""
MIN_BOXES, MIN_SHARE_HOLDING, BETTER = 10, 0.3, 1.1
"""Boxes that are compared; least share that holds points; points that moved boxes may hold, over
those of the recorded ones (a thinned cloud has .99)."""
MAX_SHARE_SHORT = 0.2
"""Share of motor vehicles that may be wider or higher than long; recorded ones have below 0.02."""
MIN_UPRIGHT = 0.5
"""Cosine between the image's downward axis and that of the vehicle."""
AHEAD_DEG, BEHIND_DEG = 60.0, 120.0
"""Directions in which cameras of the groups `front_*` and `back` look."""
MIN_EDGE_FRAMES, MIN_EDGE_RATIO = 3, 1.1
"""Images that are compared; least ratio of edges where depth jumps to those 7 or 10 columns away
(real rigs have 1.3 to 1.6, the embedded world 1.7 to 2.4)."""


class Plausibility:
    """Collects what frames say of themselves; `warnings` holds it against the bounds."""

    def __init__(self) -> None:
        self._points: list[int] = []
        self._intensity: list[tuple[float, float, float]] = []
        self._grounds: list[Ground] = []
        self._late_s: defaultdict[str, list[float]] = defaultdict(list)
        self._boxes = np.zeros((0, len(box_evidence.VARIANTS)))
        self._vehicles_m: list[FloatArray] = []
        self._edges: defaultdict[str, list[FloatArray]] = defaultdict(list)
        self._cameras: dict[str, CameraFrame] = {}
        self._motions: list[pose_evidence.Motion] = []
        self._frames = 0
        self._with: Counter[str] = Counter()
        self._damaged: dict[str, str] = {}

    def add_frame(self, frame: Frame, recorded: AnnotatedBoxes | None) -> None:
        """Adds one frame, with its boxes as recorded."""
        self._frames += 1
        for camera in frame.cameras:
            self._cameras[camera.name] = camera
            self._with[camera.name] += camera.image is not None
            self._late_s[camera.name].append((camera.timestamp_us - frame.timestamp_us) / 1e6)
        for fault in frame.faults:
            sensor, _, words = fault.partition(": ")
            if not words.rpartition(": ")[2].startswith("no "):
                self._damaged.setdefault(sensor, words)
        if recorded is not None:
            vocabulary = frame.labels.vocabulary if frame.labels else DESIGN
            vehicles = [i for i, group in enumerate(vocabulary.groups) if group == "MOD"]
            self._vehicles_m.append(recorded.size_lwh_m[np.isin(recorded.class_id, vehicles)])
        if frame.points is not None:
            self._with["LiDAR"] += 1
            self._add_points(frame, frame.points, recorded)

    def add_pair(self, earlier: Frame, later: Frame) -> None:
        """Adds two frames that follow each other."""
        motion = pose_evidence.motion_of(earlier, later)
        if motion is not None:
            self._motions.append(motion)

    def _add_points(
        self, frame: Frame, points: FloatArray, recorded: AnnotatedBoxes | None
    ) -> None:
        self._points.append(len(points))
        if not len(points):
            return
        intensity, dt_s = points[:, 3].astype(np.float64), points[:, 4].astype(np.float64)
        above = float((intensity > MAX_INTENSITY).mean())
        self._intensity.append((float(intensity.min()), float(intensity.max()), above))
        self._late_s["LiDAR"].append(float(dt_s[np.abs(dt_s).argmin()]))
        ground = fit_ground(points)
        if ground is not None:
            self._grounds.append(ground)
        if recorded is not None and len(recorded.words):
            held = box_evidence.points_in_variants(recorded, points)
            self._boxes = np.concatenate([self._boxes, held])
        for camera in frame.cameras:
            scores = edge_scores(camera, points)
            if scores is not None:
                self._edges[camera.name].append(scores)

    def warnings(self) -> Iterator[str]:
        """Yields a sentence on everything that is not plausible."""
        yield from self._about_sensors()
        yield from self._about_points()
        yield from self._about_sizes()
        yield from self._about_boxes()
        yield from self._about_cameras()
        yield from self._about_edges()
        yield from pose_evidence.warnings(self._motions)

    def _about_sensors(self) -> Iterator[str]:
        if self._frames and not self._with.total():
            yield f"none of the {self._frames} frames read has an image or a point"
        for sensor, words in self._damaged.items():
            yield f"{sensor}: {words}"
        for sensor in ("LiDAR", *self._cameras):
            lacking = self._frames - self._with[sensor]
            if 0 < lacking <= self._frames / 2:  # one that is mostly away is no part of the data
                yield f"{sensor}: there is nothing in {lacking} of {self._frames} frames read"
        for sensor, seconds in self._late_s.items():
            late_s = float(np.median(seconds))
            if abs(late_s) > MAX_LATE_S:
                side = "after" if late_s > 0 else "before"
                yield f"{sensor}: its data is {abs(late_s):.3f} s {side} the time of the frame"

    def _about_points(self) -> Iterator[str]:
        if self._points:
            count = np.array(self._points)
            median = float(np.median(count))
            if median < MIN_POINTS:
                yield f"there are {median:g} points a frame, which is less than any LiDAR gives"
            few = int((count < MIN_SHARE_OF_MEDIAN * median).sum())
            if few:
                yield f"{few} of {len(count)} sweeps have under a fifth of the usual points"
        if self._intensity:
            low, high, above = np.array(self._intensity).T
            if low.min() < 0 or above.mean() > MAX_SHARE_ABOVE:
                yield (
                    f"intensity is {low.min():.4g} to {high.max():.4g}; it must be in [0, 1] (is "
                    "it 0 to 255?)"
                )
            elif high.max() == 0:
                yield "every intensity is 0: the network expects that of the LiDAR"
            elif high.max() < MIN_BRIGHTEST:
                yield (
                    f"the brightest point has an intensity of {high.max():.2g}; it must be in "
                    "[0, 1] (is it divided by 255 twice?)"
                )
        yield from self._about_ground()

    def _about_ground(self) -> Iterator[str]:
        if not self._grounds:
            return
        height_m, tilt_deg, intensity = np.median(np.array(self._grounds), axis=0)
        if abs(height_m) > MAX_GROUND_M:
            yield (
                f"the ground under the vehicle is at z = {height_m:.2f} m; it must be at 0: the "
                "origin of the ego frame lies on the ground"
            )
        if tilt_deg > MAX_TILT_DEG:
            yield f"the ground under the vehicle is tilted by {tilt_deg:.1f} degrees"
        if intensity > MAX_GROUND_INTENSITY:
            yield f"the median intensity of the ground is {intensity:.2f}, brighter than any road"

    def _about_sizes(self) -> Iterator[str]:
        length, width, height = np.concatenate([np.zeros((0, 3)), *self._vehicles_m]).T
        wrong = (length < width) | (length < height)
        if len(wrong) >= MIN_BOXES and wrong.mean() > MAX_SHARE_SHORT:
            yield (
                f"{int(wrong.sum())} of {len(wrong)} vehicles are wider or higher than long: check "
                "the order of length, width and height"
            )

    def _about_boxes(self) -> Iterator[str]:
        held = self._boxes[self._boxes.any(1)]
        if len(self._boxes) < MIN_BOXES:
            return
        share = float((self._boxes[:, 0] > 0).mean())
        if share < MIN_SHARE_HOLDING:
            yield f"only {share:.0%} of the boxes within 40 m hold points"
        total = held.sum(0)
        best = int(total.argmax())
        if len(held) and total[best] > BETTER * total[0]:
            yield (
                f"boxes {box_evidence.VARIANTS[best]} hold {total[best] / max(total[0], 1):.1f} "
                "times the points that they hold as recorded"
            )

    def _about_cameras(self) -> Iterator[str]:
        for name, camera in self._cameras.items():
            height, width = camera.size_px
            size_px = np.array([[height, width]], np.int64)
            if not columns.intrinsics(camera.intrinsics[None], size_px)[0]:
                yield f"{name}: its intrinsics are not those of an image of {width} x {height}"
            yield from _about_mount(camera)

    def _about_edges(self) -> Iterator[str]:
        every = [scores for of_camera in self._edges.values() for scores in of_camera]
        if len(every) >= MIN_EDGE_FRAMES and _edge_ratio(every) < MIN_EDGE_RATIO:
            yield (
                "where the depth of points jumps, images have no more edges than elsewhere: "
                "images, points and calibrations do not belong together"
            )
            return
        for name, scores in self._edges.items():
            if len(scores) >= MIN_EDGE_FRAMES and _edge_ratio(scores) < 1.0:
                yield f"{name}: its images do not fit to the points; check its calibration"


def _edge_ratio(scores: Sequence[FloatArray]) -> float:
    """Returns the strength of edges where depth jumps over that 7 or 10 columns away."""
    mean = np.mean(scores, axis=0)
    far = [i for i, shift in enumerate(SHIFTS) if abs(shift) > 4]
    return float(mean[0] / max(float(mean[far].mean()), 1e-6))


def _about_mount(camera: CameraFrame) -> Iterator[str]:
    rotation = camera.ego_from_camera[:3, :3]
    if abs(float(np.linalg.det(rotation)) - 1.0) > 0.01:
        yield f"{camera.name}: ego_from_camera is no rotation (mirrored, or scaled)"
        return
    looks_down = rotation[2, 2] < -0.9
    if rotation[2, 1] > -MIN_UPRIGHT and not looks_down:
        yield (
            f"{camera.name}: its image is not upright in the ego frame; a camera has x right, y "
            "down, z forward, and the matrix is ego_from_camera (quaternions are w x y z)"
        )
        return
    yaw_deg = float(np.degrees(np.arctan2(rotation[1, 2], rotation[0, 2])))
    ahead, behind = camera.group.startswith("front"), camera.group == "back"
    if (ahead and abs(yaw_deg) > AHEAD_DEG) or (behind and abs(yaw_deg) < BEHIND_DEG):
        yield f"{camera.name}: it looks to {yaw_deg:.0f} degrees and is in group {camera.group}"


def about_times(logs: Sequence[DrivingLog]) -> Iterator[str]:
    """Yields sentences on the order, unit and regularity of the times of the logs."""
    times = [log.timestamps_us for log in logs if len(log)]
    intervals = np.concatenate([np.zeros(0, np.int64), *(np.diff(each) for each in times)])
    if not times:
        return
    wrong = int((intervals <= 0).sum())
    if wrong:
        yield f"{wrong} of {len(intervals)} times are not after the one before"
    forward = intervals[intervals > 0]
    step = float(np.median(forward)) if len(forward) else None
    unit = columns.likely_unit(float(max(each[-1] for each in times)), step, "microseconds")
    if unit != "microseconds":
        yield f"times seem to be {unit}; they must be microseconds"
        return
    gaps = 0 if step is None else int((forward > GAP * step).sum())
    if gaps > MAX_SHARE_GAPS * len(intervals):
        yield f"{gaps} of {len(intervals)} times between frames are over {GAP:g} times the usual"
