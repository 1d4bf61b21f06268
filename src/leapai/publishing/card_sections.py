"""Sections of a card: what the network is, what it is good for and what not, and what was measured.

A sentence stands here only where the configuration, a run or the card of the shipped weights proves
it; what was not measured is named as such.
"""

from __future__ import annotations

from collections.abc import Iterator

from leapai.checkpoints import Checkpoint
from leapai.config.schema import TaskConfig
from leapai.hub import FORM, WEIGHTS
from leapai.publishing.card_metrics import MeasuredMetrics
from leapai.publishing.card_text import code, plain, public_data, table
from leapai.runs.stress_results import CLEAN, StressRun
from leapai.weights import WeightsCard

LOW_AP = 0.3
"""A class below this is named as one that the network finds poorly."""
LOW_SHARE = 0.5
"""A condition that leaves less of the clean mAP than this is named as one to stay away from."""
_STATISTICS = ("running_mean", "running_var")


def use_section(repository: str | None) -> str:
    """Returns how the weights are installed and loaded."""
    source = f"hf://{repository}@main" if repository else WEIGHTS
    named = (
        "A branch can move: name a tag or a commit instead of `main` where bytes must not change."
        if repository
        else f"Once the folder is a repository of a hub, `{FORM}` names these weights."
    )
    return (
        "## Use\n\n"
        "Install leapai from its repository or a wheel file, with the extra `hub` for weights by "
        f"name.\n\n```\nleapai predict SOURCE --ckpt {source}\n```\n\n"
        f'```python\nimport leapai\n\nstream = leapai.load("{source}")\n'
        "for frame in leapai.open_logs(SOURCE)[0]:\n    detections = stream.step(frame)\n```\n\n"
        f"{named}"
    )


def network_section(checkpoint: Checkpoint) -> str:
    """Returns the facts of the configuration: tasks, sensors, range, classes, size."""
    config, (height, width) = checkpoint.config, checkpoint.config.camera.image_size_px
    (x_from, x_to), (y_from, y_to) = config.bev.label_range_m
    classes = ", ".join(map(plain, checkpoint.class_names)) if config.dynamic_task else "none"
    lidar = ", and a LiDAR" if config.enable_lidar else ""
    parameters = sum(
        weight.numel()
        for name, weight in checkpoint.state_dict.items()
        if weight.is_floating_point() and not name.endswith(_STATISTICS)
    )
    rows = [
        ("job", code(config.job_name)),
        ("tasks", _tasks(config)),
        ("sensors", f"up to seven cameras, scaled to {height} x {width} pixels{lidar}"),
        ("range, ego frame", f"x {x_from:g} to {x_to:g} m, y {y_from:g} to {y_to:g} m"),
        ("classes of objects", classes),
        ("parameters", f"{parameters / 1e6:.2f} million"),
        ("written by", f"leapai {plain(checkpoint.version)}"),
    ]
    return f"## The network\n\n{table(('', ''), rows, numbers=0)}"


def _tasks(config: TaskConfig) -> str:
    objects = "3D objects with velocity, occlusion and identity"
    if config.enable_dynamic_temporal:
        objects += ", with memory"
    lines = "map segmentation and lines" + ", with memory" * config.enable_static_temporal
    tasks = [objects] * config.dynamic_task + [lines] * config.static_task
    return "; ".join(tasks) or "none: pixels of the cameras alone"


def purpose_section(
    checkpoint: Checkpoint,
    card: WeightsCard | None,
    measured: MeasuredMetrics | None,
    stress: StressRun | None,
) -> str:
    """Returns what the weights were trained on, what they are good for, and what they are not."""
    config = checkpoint.config
    lidar = " with a LiDAR and cameras" if config.enable_lidar else " with cameras"
    not_for = [*_not_for(config, card, measured, stress)]
    return (
        f"## What it is good for\n\n{_training(config, card)}\n\n"
        f"* Streams of a vehicle{lidar} whose data resembles these: rate, sensors, places.\n"
        "* A start for a training on data of your own: `leapai train CONFIG --ckpt`.\n\n"
        "## What it is not good for\n\n" + "\n".join(f"* {sentence}" for sentence in not_for)
    )


def _training(config: TaskConfig, card: WeightsCard | None) -> str:
    if card is not None:
        return f"Trained on {plain(card.trained_on)}."
    sources = ", ".join(code(public_data(source.data)) for source in config.data.sources)
    return (
        f"Its last training was on {sources}. Weights that it began with are not recorded here and "
        "may come from other data."
    )


def _not_for(
    config: TaskConfig,
    card: WeightsCard | None,
    measured: MeasuredMetrics | None,
    stress: StressRun | None,
) -> Iterator[str]:
    yield "Decisions that safety depends on. Nothing here is certified."
    if card is not None:
        measured_there = " ".join(map(plain, card.on_real_roads))
        yield f"Real roads without a training of your own. {measured_there}"
    else:
        yield "Real roads, where they were not measured."
    if config.dynamic_task:
        yield "Objects of other classes, and objects out of its range: it does not report them."
    low = [n for n, ap in (measured.ap_by_class if measured else {}).items() if ap < LOW_AP]
    if low:
        yield f"Classes with an AP below {LOW_AP:g}: {', '.join(map(plain, low))}."
    if stress is not None:
        yield from _conditions_that_cost(stress)
    else:
        yield "Corrupted, lost or miscalibrated sensors: what they cost was not measured."


def _conditions_that_cost(stress: StressRun) -> Iterator[str]:
    shares = {each.words: each.scores.relative for each in stress.results if each.name != CLEAN}
    worst = [words for words, share in shares.items() if share is not None and share < LOW_SHARE]
    if worst:
        yield (
            f"Conditions that leave less than {LOW_SHARE:.0%} of the clean mAP: "
            f"{'; '.join(map(plain, worst))}."
        )


def metrics_section(measured: MeasuredMetrics | None) -> str:
    """Returns the table of metrics, and that of AP by class."""
    if measured is None:
        return "## Metrics\n\nNot measured."
    rows = [
        (plain(metric.title), metric.text(value), metric.better.name.lower(), plain(metric.words))
        for metric, value in measured.values
    ]
    parts = [
        f"## Metrics\n\nOn {code(measured.data)}. {measured.how}",
        table(("metric", "value", "better", "meaning"), rows, numbers=1),
    ]
    if measured.ap_by_class:
        by_class = [(plain(n), f"{ap:.3f}") for n, ap in measured.ap_by_class.items()]
        parts.append(table(("class", "AP"), by_class, numbers=1))
    return "\n\n".join(parts)


def robustness_section(stress: StressRun | None) -> str:
    """Returns what is left of mAP under each condition of a stress run."""
    if stress is None:
        return "## Robustness\n\nNot measured: `leapai stress` does."
    summary = stress.summary
    mean = summary.mean_relative_score
    data = code(public_data(summary.data))
    count = summary.sequences
    extent = f"{summary.frames} frames of {count} drive{'s' * (count != 1)} of {data}"
    sentences = [
        f"`leapai stress` over {extent}; mAP of the clean run: {_share(summary.clean.mean_ap)}.",
        f"mRA, the mean over all corruptions and severities: {_share(mean)}."
        if mean is not None
        else "mRA is not known: not all corruptions were run at all severities.",
    ]
    if summary.quick:
        sentences.append("This was a quick run, of few frames: its numbers are rough.")
    rows = [
        (plain(each.words), _share(each.scores.mean_ap), _share(each.scores.relative))
        for each in stress.results
        if each.name != CLEAN
    ]
    conditions = table(("condition", "mAP", "of the clean run"), rows, numbers=2)
    return f"## Robustness\n\n{' '.join(sentences)}\n\n{conditions}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
