"""A host of an exported network that walks a recording: NumPy and ONNX Runtime alone, the slow and
obvious twin of the C++ sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime
from shapely.geometry import Polygon


class RecordingTwin:
    """Runs the frames of a recording in their order, by "The contract of a graph" of
    docs/deployment.md."""

    def __init__(self, graph: Path, recorded: Path) -> None:
        self.recorded = recorded
        lines = (recorded / "settings.txt").read_text().splitlines()
        self.settings = {line.split()[0]: line.split()[1:] for line in lines}
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.inputs = {tensor.name: tensor for tensor in self.session.get_inputs()}
        self.outputs = [tensor.name for tensor in self.session.get_outputs()]
        self.sensors, self.ring, self.last = {}, [], None
        self.memory = {
            name: np.zeros(tensor.shape, numpy_type(tensor.type))
            for name, tensor in self.inputs.items()
            if f"next_{name}" in self.outputs
        }

    def numbers(self, name: str) -> list[float]:
        return [float(value) for value in self.settings[name]]

    def microseconds(self, name: str) -> list[int]:
        return [round(value * 1e6) for value in self.numbers(name)]

    def frames(self) -> Iterator[tuple[Path, dict[str, np.ndarray]]]:
        """Yields the folder and the outputs of each frame."""
        for line in (self.recorded / "frames.txt").read_text().splitlines():
            folder, time, sequence = line.split(" ", 2)
            yield self.recorded / folder, self.step(self.recorded / folder, int(time), sequence)

    def step(self, folder: Path, time_us: int, sequence: str) -> dict[str, np.ndarray]:
        self.sensors |= {path.stem: np.load(path) for path in (folder / "inputs").iterdir()}
        pose = np.load(folder / "ego2global.npy")
        given = self.sensors | self.memory | self.motion(time_us, sequence, pose)
        if "past_bev" in self.inputs:
            given |= self.past(time_us, pose)
        given = {name: array for name, array in given.items() if name in self.inputs}
        outputs = dict(zip(self.outputs, self.session.run(self.outputs, given), strict=True))
        self.memory = {name: outputs[f"next_{name}"] for name in self.memory}
        if self.last is not None and "past_bev" in self.inputs and outputs["next_bev_is_finite"]:
            self.keep(time_us, pose, outputs["next_bev"])
        return outputs

    def motion(self, time_us: int, sequence: str, pose: np.ndarray) -> dict[str, np.ndarray]:
        has_pose = bool(np.isfinite(pose).all())
        begins = self.last is None or self.last[1] != sequence or not has_pose
        passed_us = 0 if begins else time_us - self.last[0]
        reset = begins or not 0 <= passed_us <= self.microseconds("config.max_gap_s")[0]
        prev2curr = np.eye(4) if reset else np.linalg.inv(pose) @ self.last[2]
        if reset:
            self.ring = []
        self.last = (time_us, sequence, pose) if has_pose else None
        return {
            "now_us": np.array([time_us]),
            "reset": np.array([reset]),
            "has_pose": np.array([has_pose]),
            "prev2curr": prev2curr[None].astype(np.float32),
            "interval_s": np.array([0 if reset else passed_us / 1e6], np.float32),
        }

    def past(self, time_us: int, pose: np.ndarray) -> dict[str, np.ndarray]:
        bev = np.zeros(self.inputs["past_bev"].shape, np.float16)
        from_now = np.tile(np.eye(4, dtype=np.float32), (1, bev.shape[1], 1, 1))
        found = np.zeros((1, bev.shape[1]), bool)
        (tolerance_us,) = self.microseconds("config.static.tolerance_s")
        for index, age_us in enumerate(self.microseconds("config.static.past_s")):
            near = [k for k in self.ring if abs(k[0] - time_us + age_us) <= tolerance_us]
            if near:
                _, kept_pose, kept = min(near, key=lambda k: (abs(k[0] - time_us + age_us), -k[0]))
                bev[0, index], found[0, index] = kept[0], True
                from_now[0, index] = np.linalg.inv(kept_pose) @ pose
        return {"past_bev": bev, "past_from_now": from_now, "past_found": found}

    def keep(self, time_us: int, pose: np.ndarray, bev: np.ndarray) -> None:
        most = int(self.settings["config.static.memory_frames"][0])
        (tolerance_us,) = self.microseconds("config.static.tolerance_s")
        oldest_us = max(self.microseconds("config.static.past_s")) + tolerance_us
        if not self.ring or time_us - self.ring[-1][0] >= oldest_us // (most - 1):
            self.ring = [*self.ring, (time_us, pose, bev)][-most:]

    def objects(self, outputs: dict[str, np.ndarray]) -> np.ndarray:
        """Returns the rows of the table that the recording has."""
        found = []
        boxes = outputs["boxes"][0] if "boxes" in outputs else np.zeros((0, 11))
        for query, box in enumerate(boxes.astype(np.float64)):
            confidence = 1 / (1 + np.exp(-outputs["class_logits"][0, query].astype(np.float64)))
            level = int(
                (outputs["occlusion_score"][0, query] > outputs["occlusion_thresholds"]).sum()
            )
            for axis, name in enumerate("xyz"):
                low_m, high_m = self.numbers(f"config.bev.{name}_range_m")
                box[axis] = low_m + box[axis] * (high_m - low_m)
            yaw = np.arctan2(box[6], box[7])
            best = int(confidence.argmax())
            found.append([query, best, level, *box[:6], yaw, *box[8:], confidence[best]])
        (least,) = self.numbers("config.evaluation.min_score")
        (overlap,) = self.numbers("config.evaluation.nms_iou")
        kept = []
        for row in sorted((row for row in found if row[-1] >= least), key=lambda row: -row[-1]):
            if all(row[1] != better[1] or iou(row, better) <= overlap for better in kept):
                kept.append(row)
        most = int(self.settings["config.evaluation.max_detections"][0])
        return np.array(kept[:most]).reshape(-1, 14)


def iou(one: list[float], two: list[float]) -> float:
    """Returns the overlap over the union of two rows, seen from above."""
    a, b = footprint(one), footprint(two)
    return a.intersection(b).area / a.union(b).area


def footprint(row: list[float]) -> Polygon:
    x, y, length, width, yaw = *row[3:5], *row[6:8], row[9]
    along = np.array([np.cos(yaw), np.sin(yaw)]) * length / 2
    across = np.array([-np.sin(yaw), np.cos(yaw)]) * width / 2
    signs = ((1, 1), (-1, 1), (-1, -1), (1, -1))
    return Polygon([np.array([x, y]) + a * along + b * across for a, b in signs])


def numpy_type(name: str) -> str:
    """Returns NumPy's name of a type of ONNX Runtime: `tensor(float)`."""
    inner = name.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32"}.get(inner, inner)
