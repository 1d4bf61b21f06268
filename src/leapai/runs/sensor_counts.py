"""Health of the sensors over a run: frames by status, and the first reason of each failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from leapai.streaming.sensor_health import SensorStatus
from leapai.streaming.step_result import StepResult

UNUSABLE = (SensorStatus.MISSING, SensorStatus.CORRUPT)


@dataclass
class SensorCounts:
    """Frames by the status of each sensor, in the order in which sensors appeared."""

    frames: dict[str, Counter[str]] = field(default_factory=dict)
    """Name of a sensor -> status -> number of frames."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Name of a sensor -> reason of its first frame that is not ok."""
    groups: set[str] = field(default_factory=set)
    """Groups that have a camera."""
    blind: int = 0
    """Frames in which every sensor is missing or corrupt."""

    def add(self, result: StepResult) -> None:
        """Counts the frame of a step."""
        self.groups.update(camera.group for camera in result.frame.cameras)
        sensors = result.health.sensors
        self.blind += all(sensor.status in UNUSABLE for sensor in sensors.values())
        for name, sensor in sensors.items():
            self.frames.setdefault(name, Counter())[sensor.status.value] += 1
            if sensor.status is not SensorStatus.OK:
                self.reasons.setdefault(name, sensor.reason)


def merged_counts(counts: Iterable[SensorCounts]) -> SensorCounts:
    """Returns the counts of several processes together."""
    merged = SensorCounts()
    for each in counts:
        for name, statuses in each.frames.items():
            merged.frames.setdefault(name, Counter()).update(statuses)
        merged.reasons = {**each.reasons, **merged.reasons}
        merged.groups |= each.groups
        merged.blind += each.blind
    return merged
