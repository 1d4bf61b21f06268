"""Detections of a stream, which can be drawn, tabulated and exchanged.

What draws, tabulates and exchanges is imported where it is first used: a stream needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leapai.config.schema import TaskConfig
from leapai.extras import import_extra
from leapai.streaming.sensor_health import Health
from leapai.types import Detections, Frame, ImageArray, Map, MemorySlots

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_SHOWN_SENSORS = 3
"""Most sensors that the `repr` names."""


@dataclass(frozen=True, repr=False)
class StreamedDetections(Detections):
    """`Detections` with the health of the sensors and the memory behind them.

    They hold no image, no point and no tensor, so those of a whole drive stay small.
    """

    health: Health
    memory: MemorySlots | None
    """Valid memory slots in this frame, in its ego frame; None: the network has no dynamic task."""
    config: TaskConfig = field(repr=False)
    """Configuration of the network that detected them."""

    def __repr__(self) -> str:
        failing = [f"{name} {state.status}" for name, state in self.health.failing.items()]
        more = f" and {len(failing) - _SHOWN_SENSORS} more" if len(failing) > _SHOWN_SENSORS else ""
        named = ", ".join(failing[:_SHOWN_SENSORS])
        sensors = f"not ok: {named}{more}" if failing else "all sensors ok"
        slots = 0 if self.memory is None else len(self.memory.class_id)
        return f"{super().__repr__()[:-1]}; {sensors}; {slots} memory slots)"

    def plot(
        self,
        frame: Frame | None = None,
        path: str | Path | None = None,
        bev_map: Map | None = None,
    ) -> ImageArray:
        """Draws the bird's-eye view [H, W, 3] RGB uint8, also written to `path` (PNG) where one is
        given.

        With the `frame` that was streamed, its LiDAR points and its ground truth are drawn, too;
        with `bev_map`, the `Stream.map` of the same frame, cells and lines of the map.
        `draw_dynamic_cfg`, `draw_static_cfg` and `temporal_visualization` of `config` select what
        is shown; trails need the frames before, so `FramePainter` draws them. Raises ValueError for
        another frame.
        """
        from leapai.pictures import bev_scene
        from leapai.pictures.bev_canvas import draw_bev
        from leapai.pictures.video import write_png

        if frame and (frame.sequence, frame.timestamp_us) != (self.sequence, self.timestamp_us):
            raise ValueError(
                f"plot: the frame is {frame.sequence} at {frame.timestamp_us} us, the detections "
                f"are of {self.sequence} at {self.timestamp_us} us; give the frame they came from"
            )
        draw, temporal = self.config.draw_dynamic_cfg, self.config.temporal_visualization
        labels = frame.labels if frame else None
        scene = bev_scene.BevScene(
            points=frame.points if frame else None,
            gt=None if labels is None else bev_scene.shown_labels(labels, draw),
            detections=bev_scene.shown_detections(self, draw),
            memory=None
            if self.memory is None
            else bev_scene.shown_memory(self.memory, draw, temporal),
            map=None
            if bev_map is None
            else bev_scene.shown_map(bev_map, self.config.draw_static_cfg),
        )
        image = draw_bev(scene, draw, temporal)
        if path is not None:
            write_png(Path(path), image)
        return image

    def to_table(self) -> pa.Table:
        """Returns one row a detection, as in `detections.parquet`: names with units, ego frame."""
        from leapai.streaming.detection_table import to_table

        return to_table(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns `to_table` for pandas. Raises ImportError where pandas is not installed."""
        import_extra("pandas", "pandas", "to_dataframe (unlike to_table) needs pandas")
        return self.to_table().to_pandas()

    def to_nuscenes(self, sample_token: str, *, tracking: bool = False) -> list[dict[str, Any]]:
        """Returns entries of nuScenes' detection format for this sample, or of its tracking
        format."""
        from leapai.data.nuscenes.nuscenes_submission import detection_rows, tracking_rows

        rows = tracking_rows if tracking else detection_rows
        return rows(self, sample_token)

    def to_argoverse2(self, timestamp_ns: int | None = None) -> pa.Table:
        """Returns rows of Argoverse 2's detection format; without `timestamp_ns` it is that of the
        frame, exact to the microsecond."""
        from leapai.data.argoverse2.argoverse2_submission import argoverse2_table

        return argoverse2_table(self, timestamp_ns)
