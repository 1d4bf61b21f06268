"""The card of some weights: a header in YAML that a model hub reads, and a page for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leapai.checkpoints import Checkpoint
from leapai.config.schema import TaskConfig
from leapai.evaluation.metrics import RELATIVE_SCORE
from leapai.extras import import_extra
from leapai.hub import DIGESTS
from leapai.publishing import card_sections as sections
from leapai.publishing.card_metrics import MeasuredMetrics, measured_metrics
from leapai.publishing.card_text import plain, public_data, table
from leapai.weights import card_of

if TYPE_CHECKING:
    from leapai.publishing.card_evidence import Evidence

LIBRARY = "leapai"
OWN_LICENSE = "apache-2.0"
"""Licence of weights that were trained on the embedded world alone: it is part of the package."""
_TAGS = ("3d-object-detection", "autonomous-driving", "birds-eye-view", "tracking", "camera")
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{1,63}")
_TASK = ("object-detection", "3D object detection")
"""Identifier of the task, of those that a hub has, and its name in words."""


@dataclass(frozen=True)
class CardFile:
    """A file that the card lists."""

    name: str
    size_bytes: int
    sha256: str


def checked_license(license_id: str | None, checkpoint: Checkpoint) -> str:
    """Returns the licence of weights; None: that of those that ship with leapai.

    Raises ValueError where others have none, because nothing proves which data they began with, and
    for what is no identifier of a licence.
    """
    if license_id is None:
        if card_of(checkpoint.sha256) is None:
            sources = " + ".join(source.data for source in checkpoint.config.data.sources)
            raise ValueError(
                f"--license is missing: the last training of the weights was on {sources}; the "
                "terms of all data that they and earlier weights saw decide it; name it as the hub "
                "does, such as --license cc-by-nc-sa-4.0"
            )
        return OWN_LICENSE
    if not _LICENSE.fullmatch(license_id):
        raise ValueError(
            f"--license {license_id!r:.80}: must be an identifier of small letters, as the hub "
            "names licences, such as apache-2.0, cc-by-nc-sa-4.0 or other"
        )
    return license_id


def model_card(
    checkpoint: Checkpoint,
    evidence: Evidence,
    files: Sequence[CardFile],
    license_id: str,
    repository: str | None,
) -> str:
    """Returns the text of `README.md`.

    Raises MissingExtraError without the client of the hub, which writes the header.
    """
    measured, stress = measured_metrics(checkpoint, evidence.run), evidence.stress
    card = card_of(checkpoint.sha256)
    name = repository.rpartition("/")[2] if repository else checkpoint.config.job_name
    body = (
        f"# {plain(name)}",
        "A network for streaming 3D perception, for the package leapai: frames of a vehicle's "
        "sensors in, objects or a map out, with memory in between.",
        sections.use_section(repository),
        sections.network_section(checkpoint),
        sections.purpose_section(checkpoint, card, measured, stress),
        sections.metrics_section(measured),
        sections.robustness_section(stress),
        _files_section(files),
    )
    header = _header(checkpoint.config, evidence, measured, license_id, name)
    return f"---\n{header}\n---\n\n" + "\n\n".join(body) + "\n"


def _header(
    config: TaskConfig,
    evidence: Evidence,
    measured: MeasuredMetrics | None,
    license_id: str,
    name: str,
) -> str:
    hub: Any = import_extra("huggingface_hub", "hub", "a card needs huggingface_hub")
    results = [hub.EvalResult(**each) for each in _results(evidence, measured)]
    tags = [LIBRARY, *_TAGS, *(["lidar"] if config.enable_lidar else [])]
    data = hub.ModelCardData(
        license=license_id,
        library_name=LIBRARY,
        pipeline_tag=_TASK[0],
        tags=tags,
        **({"model_name": name, "eval_results": results} if results else {}),
    )
    header: str = data.to_yaml()
    return header


def _results(evidence: Evidence, measured: MeasuredMetrics | None) -> Iterator[dict[str, Any]]:
    """Yields the arguments of each entry of the model index."""
    if measured is not None:
        for metric, value in measured.values:
            yield _result(measured.data, metric.event, metric.title, value)
    stress = evidence.stress
    if stress is not None and stress.summary.mean_relative_score is not None:
        data, score = public_data(stress.summary.data), stress.summary.mean_relative_score
        yield _result(data, RELATIVE_SCORE.name, "mRA of MultiCorrupt's corruptions", score)


def _result(data: str, metric: str, title: str, value: float) -> dict[str, Any]:
    return {
        "task_type": _TASK[0],
        "task_name": _TASK[1],
        "dataset_type": data.partition(":")[0],
        "dataset_name": data,
        "metric_type": metric,
        "metric_name": title,
        "metric_value": round(value, 4),
    }


def _files_section(files: Sequence[CardFile]) -> str:
    rows = [(f"`{f.name}`", str(f.size_bytes), f"`{f.sha256}`") for f in files]
    return (
        f"## Files\n\n{table(('file', 'bytes', 'SHA-256'), rows, numbers=1)}\n\n"
        f"`sha256sum --check {DIGESTS}` checks them. Weights that are fetched by their name on the "
        "hub and differ are refused."
    )
