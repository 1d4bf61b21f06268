"""Compares the tracker with a plain one, on the very same detections.

    python benchmarks/measure_tracker.py [--step2 FILE] [--data DATA]
    python benchmarks/measure_tracker.py --argoverse2 ROOT

The first streams a checkpoint once (the one that ships, unless `--step2` names another); its
detections, with the ids of our tracker, go to `outputs/measure_tracker.parquet`. The second needs
no network: detections are made of the log's ground truth, by leaving out one in ten, moving each
(standard deviation 0.3 m along x and y) and hiding every object for one second in five, with a
fixed seed.

The plain tracker is CenterPoint's (Yin et al., CVPR 2021, section 4.2): in the order of
confidence, a detection takes the track of its class that is nearest to its position minus its
velocity times the interval; a track that is missed is moved on for three frames. It gives every
detection an id, so it is measured once more on detections confident enough to start one of our
tracks. Metrics are of detections that have an id. Prints a Markdown table and writes the metrics as
JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from leapai.config import BevConfig, TrackingConfig
from leapai.data.log import DrivingLog, open_logs
from leapai.evaluation.consistency import consistency
from leapai.evaluation.detection.detection_results import ConsistencyMetrics
from leapai.evaluation.detection.labelled_frames import LabelledFrame
from leapai.evaluation.tracking.tracking_metrics import tracking_metrics
from leapai.evaluation.tracking.tracking_results import TrackingMetrics
from leapai.geometry import poses
from leapai.runs.parquet_tables import SCHEMA, write_table
from leapai.streaming.detection_table import to_table
from leapai.streaming.session import StreamSession
from leapai.streaming.tracker import no_tracks, track
from leapai.types import Detections, FloatArray, Frame
from leapai.weights import shipped_checkpoint
from measure_memory import Network, Options, load, options_of, parser, print_table, write_json

CENTERPOINT_GATES_M = (4.0, 4.0, 5.5, 1.0, 3.0, 3.0, 1.0, 1.0)
"""Gate of each class: CenterPoint's for nuScenes, 3 m for bicycles; barriers and pillars like
people."""
CENTERPOINT_MAX_AGE = 3
TRACKING = TrackingConfig()
"""Current defaults; the checkpoint has those of the day when it was trained."""
DROPPED, JITTER_M, HIDDEN_S, HIDDEN_EVERY_S, SCORES = 0.1, 0.3, 1.0, 5.0, (0.5, 1.0)
SEED = 0
UNUSED_IMAGE_SIZE_PX = (512, 960)
"""Size of images, of which none is read."""
HEADER = (
    "",
    "AMOTA",
    "AMOTP m",
    "MOTA",
    "IDS",
    "FRAG",
    "tracks",
    "consistency",
    "its part survival",
    "id changes",
)


@dataclass(frozen=True)
class Metrics:
    """Tracking and consistency metrics of one tracker."""

    tracking: TrackingMetrics
    consistency: ConsistencyMetrics

    def model_dump(self, mode: str) -> dict[str, object]:
        """Returns plain data, without the long lists."""
        return {
            "tracking": self.tracking.model_dump(mode=mode),
            "consistency": self.consistency.model_dump(mode=mode, exclude={"frames", "tracks"}),
        }


@dataclass(frozen=True)
class Row:
    """Name and metrics of one line of the table."""

    name: str
    metrics: Metrics

    def cells(self) -> list[str]:
        """Returns the columns of `HEADER`."""
        tracking, together = self.metrics.tracking, self.metrics.consistency
        shares = (tracking.amota, tracking.amotp_m, tracking.mota)
        counts = (tracking.ids, tracking.frag, tracking.tracks)
        return [
            self.name,
            *map(_text, shares),
            *("-" if n is None else str(n) for n in counts),
            _text(together.consistency),
            _text(together.parts.survival),
            str(together.id_changes),
        ]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


@dataclass(frozen=True)
class Drives:
    """Input of a tracker, and the ground truth of its evaluation."""

    detections: list[Detections]
    gt: list[Frame]
    """Frames without sensor data."""
    bev: BevConfig

    def evaluate(self, name: str, tracked: Sequence[Detections]) -> Row:
        """Returns the metrics of tracked detections."""
        named = [frame.select(frame.track_id >= 0) for frame in tracked]
        pairs = [
            LabelledFrame(detections, frame.labels)
            for detections, frame in zip(named, self.gt, strict=True)
            if frame.labels is not None
        ]
        return Row(name, Metrics(tracking_metrics(pairs, self.bev), consistency(named)))


@dataclass
class PlainTrack:
    """State of a track of the plain tracker, in the global frame, on the ground."""

    track_id: int
    class_id: int
    position_m: FloatArray
    velocity_mps: FloatArray
    missed: int = 0


class PlainTracker:
    """CenterPoint's tracker as its authors write it: a loop over detections."""

    def __init__(self) -> None:
        self.tracks: list[PlainTrack] = []
        self.next_id = 0
        self.sequence, self.timestamp_us = "", 0

    def __call__(self, detections: Detections) -> Detections:
        """Returns the same detections with ids."""
        if detections.sequence != self.sequence:
            self.tracks, self.sequence = [], detections.sequence
            self.timestamp_us = detections.timestamp_us
        interval_s = (detections.timestamp_us - self.timestamp_us) / 1e6
        self.timestamp_us = detections.timestamp_us
        position = poses.apply(detections.ego2global, detections.boxes[:, :3])[:, :2]
        velocity = poses.rotate(detections.ego2global, detections.velocity_mps)[:, :2]
        free, seen = list(self.tracks), []
        ids = np.full(len(detections), -1)
        for i in np.argsort(-detections.score, kind="stable"):
            class_id = int(detections.class_id[i])
            found = self._nearest(free, position[i] - velocity[i] * interval_s, class_id)
            if found is None:
                ids[i], self.next_id = self.next_id, self.next_id + 1
            else:
                free.remove(found)
                ids[i] = found.track_id
            seen.append(PlainTrack(int(ids[i]), class_id, position[i], velocity[i]))
        for missed in free:
            missed.missed += 1
            missed.position_m = missed.position_m + missed.velocity_mps * interval_s
        self.tracks = seen + [t for t in free if t.missed < CENTERPOINT_MAX_AGE]
        return replace(detections, track_id=ids)

    def _nearest(
        self, tracks: Sequence[PlainTrack], position_m: FloatArray, class_id: int
    ) -> PlainTrack | None:
        near = [
            (float(np.linalg.norm(t.position_m - position_m)), t.track_id, t)
            for t in tracks
            if t.class_id == class_id
        ]
        distance, _, found = min(near, default=(np.inf, 0, None))
        return found if distance <= CENTERPOINT_GATES_M[class_id] else None


def plain(frames: Sequence[Detections], min_score: float) -> list[Detections]:
    """Tracks detections of at least a confidence with the plain tracker."""
    tracker = PlainTracker()
    return [tracker(frame.select(frame.score >= min_score)) for frame in frames]


def without_memory(frames: Sequence[Detections]) -> Iterator[Detections]:
    """Tracks detections with our tracker and its own state only."""
    tracks = no_tracks()
    for frame in frames:
        named, tracks = track(frame, tracks, TRACKING)
        yield named


def rows_of(drives: Drives, by_session: Sequence[Detections] | None) -> list[Row]:
    """Returns a row for each tracker; `by_session` has the ids that the session gave."""
    given = drives.detections
    sure = TRACKING.sure_score
    rows = [
        drives.evaluate("plain tracker", plain(given, 0.0)),
        drives.evaluate(f"plain tracker, from confidence {sure:g} on", plain(given, sure)),
        drives.evaluate("tracker, its own state only", list(without_memory(given))),
    ]
    if by_session is not None:
        rows.append(drives.evaluate("tracker, on memory's slots", by_session))
    return [
        *rows,
        drives.evaluate("ground truth", [Detections.from_labels(frame) for frame in drives.gt]),
    ]


def streamed(network: Network, logs: Sequence[DrivingLog], options: Options) -> Drives:
    """Streams all drives through the network once."""
    config = network.config.model_copy(update={"tracking": TRACKING})
    drives = Drives([], [], config.bev)
    for number, log in enumerate(logs):
        session = StreamSession(network.model, config, options.device, first_sequence=number)
        for i in range(min(len(log), options.max_frames or len(log))):
            result = session.step(log[i])
            drives.detections.append(result.detections)
            drives.gt.append(replace(result.frame, cameras=(), points=None))
    return drives


def made_of_gt(logs: Sequence[DrivingLog]) -> Drives:
    """Returns detections like those of a network that misses some objects and displaces others."""
    rng = np.random.default_rng(SEED)
    drives = Drives([], [], BevConfig())
    for log in logs:
        gt = [log.ground_truth(i) for i in range(len(log))]
        drives.gt.extend(gt)
        drives.detections.extend(spoilt([Detections.from_labels(frame) for frame in gt], rng))
    return drives


def spoilt(frames: Sequence[Detections], rng: np.random.Generator) -> Iterator[Detections]:
    """Yields a sequence with objects hidden, dropped and moved at random, without ids."""
    names = np.unique(np.concatenate([frame.track_id for frame in frames]))
    phase_s = rng.uniform(0, HIDDEN_EVERY_S, len(names))
    for frame in frames:
        count = len(frame)
        now_s = (frame.timestamp_us - frames[0].timestamp_us) / 1e6
        clock_s = (now_s + phase_s[np.searchsorted(names, frame.track_id)]) % HIDDEN_EVERY_S
        boxes = frame.boxes.copy()
        boxes[:, :2] += rng.normal(0, JITTER_M, (count, 2))
        seen = (clock_s >= HIDDEN_S) & (rng.random(count) >= DROPPED)
        changed = replace(
            frame,
            boxes=boxes,
            score=rng.uniform(*SCORES, count),
            track_id=np.full(count, -1),
        )
        yield changed.select(seen)


def main() -> None:
    """Measures and prints."""
    options = parser(__doc__, "measure_tracker.json")
    options.add_argument(
        "--argoverse2",
        metavar="ROOT",
        help="make detections of the ground truth of this log instead",
    )
    given = options.parse_args()
    if given.argoverse2:
        shared = Options(f"argoverse2:{given.argoverse2}", given.output, None, "cpu", 0.0)
        logs = list(open_logs(shared.data, image_size_px=UNUSED_IMAGE_SIZE_PX))
        rows = rows_of(made_of_gt(logs), None)
    else:
        network = load(given.step2 or shipped_checkpoint())
        shared = options_of(given, network.config)
        logs = shared.open(network.config)
        drives = streamed(network, logs, shared)
        rows = rows_of(drives, drives.detections)
        shared.output.parent.mkdir(parents=True, exist_ok=True)
        tables = [to_table(frame) for frame in drives.detections]
        write_table(shared.output.with_suffix(".parquet"), SCHEMA, tables)
    print_table(HEADER, [row.cells() for row in rows])
    content = {row.name: row.metrics.model_dump(mode="json") for row in rows}
    write_json(content, logs, shared)


if __name__ == "__main__":
    main()
