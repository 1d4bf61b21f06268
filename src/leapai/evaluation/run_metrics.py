"""The model of `metrics.json`: all metrics of a run in one object."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from leapai.evaluation.detection.detection_results import ConsistencyMetrics, DetectionMetrics
from leapai.evaluation.map.map_results import MapMetrics
from leapai.evaluation.tracking.tracking_results import TrackingMetrics


class RunMetrics(BaseModel):
    """Metrics of a run. None: there is no ground truth to evaluate against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detection: DetectionMetrics | None
    """Over the frames that have labels."""
    tracking: TrackingMetrics | None
    """Over the same frames."""
    consistency: ConsistencyMetrics
    """Over all frames: it needs no labels."""
    road: MapMetrics | None = None
    """Map metrics against the maps of the drives; of frames without one, flicker alone."""
    extra: dict[str, float] = Field(default_factory=dict)
    """Values of registered metrics that no field above holds, by key; left out of the file where
    there is none."""

    @model_serializer(mode="wrap")
    def _without_empty_extra(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        if not self.extra:
            fields.pop("extra", None)
        return fields
