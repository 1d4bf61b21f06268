"""The tables of the report, from the figures of one or two runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from leapai.evaluation.detection.detection_metrics import ROUND_CLASS_IDS
from leapai.evaluation.detection.detection_results import (
    ConsistencyMetrics,
    DetectionMetrics,
    SliceMetrics,
)
from leapai.evaluation.tracking.tracking_results import TrackingMeasures, TrackingMetrics
from leapai.pictures.palette import CLASS_COLOURS_ON_WHITE, OCCLUSION_WORDS
from leapai.report import report_map
from leapai.report.metric_cells import (
    Better,
    Figure,
    Kind,
    Table,
    row,
)
from leapai.runs.run_folder import Run
from leapai.types import CLASS_NAMES, OCCLUSION_NAMES, STATIC_CLASS_IDS

HIGHER, LOWER = Better.HIGHER, Better.LOWER
Value = float | None
Read = Callable[[Run], Value]
"""A figure of a run; None where the run has none."""

CLASS_COLOUR = {
    name: "#{:02x}{:02x}{:02x}".format(*colour)
    for name, colour in zip(CLASS_NAMES, CLASS_COLOURS_ON_WHITE, strict=True)
}
OBJECTS = Kind("objects", digits=0)


def _of_detection(read: Callable[[DetectionMetrics], Value]) -> Read:
    return lambda run: None if run.metrics.detection is None else read(run.metrics.detection)


def _of_tracking(read: Callable[[TrackingMetrics], Value]) -> Read:
    return lambda run: None if run.metrics.tracking is None else read(run.metrics.tracking)


def _of_consistency(read: Callable[[ConsistencyMetrics], Value]) -> Read:
    return lambda run: read(run.metrics.consistency)


_OF_OBJECTS: tuple[tuple[Kind, Read], ...] = (
    (
        Kind("mAP", HIGHER, words="mean over classes and over 0.5, 1, 2 and 4 m; at best 1"),
        _of_detection(lambda metrics: metrics.mean_ap),
    ),
    (
        Kind("NDS", HIGHER, words="nuScenes detection score without its attribute term"),
        _of_detection(lambda metrics: metrics.nds),
    ),
    (
        Kind("velocity error", LOWER, 2, "m/s", words="AVE: of what can move and was found"),
        _of_detection(lambda metrics: metrics.errors.velocity_mps),
    ),
    (
        Kind("AMOTA", HIGHER, words="tracking accuracy over all confidences; at best 1"),
        _of_tracking(lambda metrics: metrics.amota),
    ),
    (
        Kind("id switches", LOWER, 0, words="at the confidence of the best MOTA"),
        _of_tracking(lambda metrics: metrics.ids),
    ),
    (
        Kind("consistency", HIGHER, words="of tracks with their own past; at best 1"),
        _of_consistency(lambda metrics: metrics.consistency),
    ),
)
_TIME: tuple[Kind, Read] = (
    Kind("time a frame", LOWER, unit="s", words="network, decoding and tracking"),
    lambda run: run.summary.seconds_per_frame,
)


def headline(runs: Sequence[Run]) -> list[Figure]:
    """Of each run, what one looks at first, of the tasks that any of them has."""
    shown = (
        *(_OF_OBJECTS if any(run.config.dynamic_task for run in runs) else ()),
        *(report_map.HEADLINE if any(run.config.static_task for run in runs) else ()),
        _TIME,
    )
    return [Figure(kind, tuple(read(run) for run in runs)) for kind, read in shown]


_CLASS_KINDS = (
    OBJECTS,
    Kind("AP", HIGHER, bar=True, words="mean over 0.5, 1, 2 and 4 m"),
    Kind("ATE", LOWER, unit="m", words="error of the position on the ground"),
    Kind("ASE", LOWER, words="error of the size: 1 - IoU of the boxes laid upon each other"),
    Kind("AOE", LOWER, unit="rad", words="error of the heading; of barriers modulo pi"),
    Kind("AVE", LOWER, unit="m/s", words="error of the velocity"),
    Kind("P", HIGHER, words="precision at the operating point"),
    Kind("R", HIGHER, words="recall at the operating point"),
    Kind("F1", HIGHER, words="at the operating point"),
)


def classes(runs: Sequence[DetectionMetrics]) -> Table:
    """Detection by class; those without objects are left out."""
    with_objects = [n for n in CLASS_NAMES if any(run.classes[n].truths for run in runs)]
    point = f"confidence {runs[0].operating_confidence:g}, {runs[0].operating_distance_m:g} m"
    return Table(
        "class",
        _CLASS_KINDS,
        tuple(
            row(name, _CLASS_KINDS, [_class(run, name) for run in runs], CLASS_COLOUR[name])
            for name in with_objects
        ),
        f"P, R and F1 at the operating point: {point}. Errors are those of what was found within "
        "2 m, averaged over recalls; 1 where a recall of 0.1 is not reached.",
    )


def _class(run: DetectionMetrics, name: str) -> list[Value]:
    """A heading of what has none, and a velocity of what stands, are left out, as in the means."""
    metrics, point, class_id = run.classes[name], run.operating[name], CLASS_NAMES.index(name)
    errors = metrics.errors
    return [
        metrics.truths,
        metrics.mean_ap,
        errors.translation_m,
        errors.scale,
        None if class_id in ROUND_CLASS_IDS else errors.orientation_rad,
        None if class_id in STATIC_CLASS_IDS else errors.velocity_mps,
        point.precision,
        point.recall,
        point.f1,
    ]


_PART_KINDS = (
    OBJECTS,
    Kind("mAP", HIGHER, bar=True),
    Kind("recall", HIGHER, bar=True),
    Kind("position", LOWER, unit="m", words="mean error of what was found"),
    Kind("velocity", LOWER, unit="m/s", words="mean error of what was found and can move"),
)
_GROUP_WORDS = {"MOD": "motor vehicles", "VRU": "vulnerable road users", "SOD": "what stands"}


def distances(runs: Sequence[DetectionMetrics]) -> Table:
    """Detection by distance band."""
    return _parts("distance", [run.distance_bands for run in runs], runs, _same)


def groups(runs: Sequence[DetectionMetrics]) -> Table:
    """Detection by group of classes."""
    return _parts(
        "group", [run.groups for run in runs], runs, lambda name: f"{name}, {_GROUP_WORDS[name]}"
    )


def occlusion(runs: Sequence[DetectionMetrics]) -> Table:
    """Detection by occlusion level, and of what is hidden now."""
    words = {
        **dict(zip(OCCLUSION_NAMES, (f"{word} occluded" for word in OCCLUSION_WORDS), strict=True)),
        OCCLUSION_NAMES[0]: "not occluded",
    }
    with_hidden = [{**run.occlusion, "hidden now": run.hidden} for run in runs]
    table = _parts("occlusion", with_hidden, runs, lambda name: words.get(name, name))
    hidden = "Hidden now: no sensor sees it, but one did 2 s ago or later; memory must know it."
    return Table(table.head, table.kinds, table.rows, f"{table.note} {hidden}")


def _parts(
    head: str,
    parts: Sequence[Mapping[str, SliceMetrics]],
    runs: Sequence[DetectionMetrics],
    label: Callable[[str], str],
) -> Table:
    """Of parts that the first run has and the others have, too."""
    names = [name for name in parts[0] if all(name in of_run for of_run in parts)]
    return Table(
        head,
        _PART_KINDS,
        tuple(
            row(label(name), _PART_KINDS, [_part(of_run[name]) for of_run in parts])
            for name in names
        ),
        f"Recall and errors within 2 m at confidence {runs[0].recall_confidence:g}.",
    )


def _part(metrics: SliceMetrics) -> list[Value]:
    return [
        metrics.truths,
        metrics.mean_ap,
        metrics.recall,
        metrics.position_error_m,
        metrics.velocity_error_mps,
    ]


def _same(name: str) -> str:
    return name


_TRACKING: tuple[tuple[Kind, str], ...] = (
    (OBJECTS, "objects"),
    (Kind("AMOTA", HIGHER, bar=True, words="MOTAR over 40 recalls"), "amota"),
    (Kind("AMOTP", LOWER, unit="m", words="distance of matches over 40 recalls"), "amotp_m"),
    (Kind("MOTA", HIGHER, words="1 - (misses + false + switches) / objects"), "mota"),
    (Kind("MOTP", LOWER, unit="m", words="distance of matches"), "motp_m"),
    (Kind("recall", HIGHER), "recall"),
    (Kind("IDS", LOWER, 0, words="id switches"), "ids"),
    (Kind("FRAG", LOWER, 0, words="times an object is lost and found again"), "frag"),
    (Kind("MT", HIGHER, 0, words="objects found in 80 % of their frames or more"), "mt"),
    (Kind("ML", LOWER, 0, words="objects found in less than 20 % of them"), "ml"),
    (Kind("TID", LOWER, unit="s", words="time until an object is first found"), "tid_s"),
    (Kind("LGD", LOWER, unit="s", words="longest gap of an object"), "lgd_s"),
)


def tracking(runs: Sequence[Run]) -> Table | None:
    """Tracking by class and over all; None where a run has no labels."""
    metrics = [run.metrics.tracking for run in runs if run.metrics.tracking is not None]
    if len(metrics) < len(runs):
        return None
    kinds = [kind for kind, _ in _TRACKING]

    def line(name: str) -> list[list[Value]]:
        """[run][kind]"""
        return [_tracking(run if name == "all" else run.classes[name]) for run in metrics]

    rows = [
        row(name, kinds, line(name), CLASS_COLOUR[name])
        for name in CLASS_NAMES
        if any(run.classes[name].objects for run in metrics)
    ]
    return Table(
        "class",
        tuple(kinds),
        (*rows, row("all", kinds, line("all"), starts_part=True)),
        "As the nuScenes tracking evaluation, within 2 m; all but AMOTA and AMOTP at the "
        "confidence of the best MOTA. Counts of all classes add up, all else is their mean.",
    )


def _tracking(measures: TrackingMeasures) -> list[Value]:
    return [getattr(measures, field) for _, field in _TRACKING]


_PARTS = (
    ("position", "where the track's own velocity says it is now"),
    ("heading", "as before, but for what an object of its speed can turn"),
    ("size", "IoU with the box before"),
    ("classes", "the same class"),
    ("occlusion", "no level that comes right back"),
    ("survival", "the object is there, under the id that it had"),
)
_COUNTS = (
    ("expected", "detections that the past makes one expect", Better.NEITHER),
    ("missing", "of them that are not there", LOWER),
    ("id_changes", "tracks that go on under another id", LOWER),
    ("class_flips", "steps to another class", LOWER),
    ("occlusion_flips", "levels that come right back", LOWER),
)


def consistency(runs: Sequence[Run]) -> list[Figure]:
    """The parts of consistency, and what was counted; nothing of a run that looked for none."""
    metrics = [run.metrics.consistency if run.config.dynamic_task else None for run in runs]
    parts = [
        Figure(
            Kind(name, HIGHER, bar=True, words=words),
            tuple(None if each is None else getattr(each.parts, name) for each in metrics),
        )
        for name, words in _PARTS
    ]
    counts = [
        Figure(
            Kind(name.replace("_", " "), better, 0, words=words),
            tuple(None if each is None else getattr(each, name) for each in metrics),
        )
        for name, words, better in _COUNTS
    ]
    return parts + counts


_STAGE_KINDS = (
    Kind("time a frame", LOWER, 4, "s"),
    Kind("peak", LOWER, 0, "MB", words="highest memory of the process while the stage ran"),
    Kind("added", LOWER, 0, "MB", words="by which that exceeded what was in use before"),
)


def stages(runs: Sequence[Run]) -> Table:
    """What each stage cost."""
    names = dict.fromkeys(name for run in runs for name in run.summary.stages)
    rows = (row(name, _STAGE_KINDS, [_stage(run, name) for run in runs]) for name in names)
    return Table("stage", _STAGE_KINDS, tuple(rows))


def _stage(run: Run, name: str) -> list[Value]:
    cost = run.summary.stages.get(name)
    if cost is None:
        return [None] * len(_STAGE_KINDS)
    frames = max(run.summary.frames, 1)
    return [cost.seconds / frames, cost.peak_bytes / 1e6, cost.added_bytes / 1e6]
