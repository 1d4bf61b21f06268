"""Figures of a network on drives: `evaluate_stream`, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from rich.table import Table

from leapai.config import TaskConfig
from leapai.data.logs import DrivingLog
from leapai.evaluation.detection import detection_figures
from leapai.evaluation.figures import ConsistencyFigures, DetectionFigures, SliceFigures
from leapai.evaluation.tables import LabelledFrame
from leapai.models.perception import Perception
from leapai.runtime.judging import RunFigures
from leapai.runtime.ranks import dealt, gather_to_first, share_from_first
from leapai.runtime.session import StepResult, StreamSession
from leapai.runtime.tracking_tables import tracking_tables


def evaluate_stream(
    model: Perception,
    config: TaskConfig,
    logs: Sequence[DrivingLog],
    max_frames: int | None = None,
    device: torch.device | str = "cpu",
) -> DetectionFigures:
    """Streams every drive in order, at most `max_frames` of each, and judges the frames that have
    labels. Writes nothing; `model` goes back to the mode, module by module, that it had.

    Where processes are joined they share the drives, all must call, and all get the figures of
    the whole.
    """
    frames = []
    with _mode_kept(model):
        for number, log in dealt(logs):
            session = StreamSession(model, config, device, first_sequence=number)
            for index in range(min(len(log), max_frames or len(log))):
                frames += labelled(session.step(log[index]))
    parts = gather_to_first(frames)
    figures = None
    if parts is not None:
        together = [frame for part in parts for frame in part]
        figures = detection_figures(together, config.bev, config.evaluation)
    return share_from_first(figures)


def labelled(result: StepResult) -> list[LabelledFrame]:
    """What can be judged of a step: one frame, or none where it has no labels, or where the dynamic
    task is off."""
    labels = result.frame.labels
    if labels is None or result.memory is None:
        return []
    return [LabelledFrame(result.detections, labels)]


def run_tables(figures: RunFigures) -> list[Table]:
    """All figures of a run, in compact tables for a terminal."""
    tables = [] if figures.detection is None else figures_tables(figures.detection)
    if figures.tracking is not None:
        tables += tracking_tables(figures.tracking)
    return [*tables, _consistency(figures.consistency)]


def figures_tables(figures: DetectionFigures) -> list[Table]:
    """Compact tables for a terminal: over all, by class, and by part."""
    return [_headline(figures), _by_class(figures), _by_part(figures)]


@contextmanager
def _mode_kept(model: Perception) -> Iterator[None]:
    training = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, was_training in training.items():
            module.training = was_training


def _headline(figures: DetectionFigures) -> Table:
    errors = figures.errors
    table = Table(
        title=f"{figures.truths} objects in {figures.frames} labelled frames",
        caption="NDS without its attribute term",
    )
    values = {
        "mAP": figures.mean_ap,
        "NDS": figures.nds,
        "ATE m": errors.translation_m,
        "ASE": errors.scale,
        "AOE rad": errors.orientation_rad,
        "AVE m/s": errors.velocity_mps,
        "ECE": figures.calibration.ece,
    }
    for name in values:
        table.add_column(name, justify="right")
    table.add_row(*(_text(value) for value in values.values()))
    return table


def _by_class(figures: DetectionFigures) -> Table:
    confidence, distance = figures.operating_confidence, figures.operating_distance_m
    table = Table(title=f"by class; P, R, F1 at confidence {confidence:g} within {distance:g} m")
    table.add_column("class")
    for title in ("objects", "AP", "AVE m/s", "P", "R", "F1"):
        table.add_column(title, justify="right")
    for name, part in figures.classes.items():
        if part.ap is None:
            continue
        point = figures.operating[name]
        values = (
            part.mean_ap,
            part.errors.velocity_mps,
            point.precision,
            point.recall,
            point.f1,
        )
        table.add_row(name, str(part.truths), *(_text(value) for value in values))
    return table


def _by_part(figures: DetectionFigures) -> Table:
    table = Table(
        title="by group, distance, occlusion; recall and errors within 2 m at confidence"
        f" {figures.recall_confidence:g}",
        caption="hidden now: no sensor sees it, but one did 2 s ago or later",
    )
    table.add_column("part")
    for title in ("objects", "mAP", "recall", "position m", "velocity m/s"):
        table.add_column(title, justify="right")
    parts: tuple[Mapping[str, SliceFigures], ...] = (
        figures.groups,
        figures.distance_bands,
        figures.occlusion,
        {"hidden now": figures.hidden},
    )
    for group in parts:
        for name, part in group.items():
            values = (part.mean_ap, part.recall, part.position_error_m, part.velocity_error_mps)
            table.add_row(name, str(part.truths), *(_text(value) for value in values))
        table.add_section()
    return table


def _consistency(figures: ConsistencyFigures) -> Table:
    table = Table(title="consistency of tracks with their own past", caption="at best 1")
    parts = figures.parts.model_dump()
    for name in ("all", *parts):
        table.add_column(name, justify="right")
    table.add_row(_text(figures.consistency), *(_text(value) for value in parts.values()))
    return table


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
