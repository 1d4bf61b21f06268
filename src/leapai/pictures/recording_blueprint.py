"""Entity paths of a recording, and how the viewer shows them at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import rerun as rr
import rerun.blueprint as rrb

from leapai.pictures import palette
from leapai.pictures.page_parts import arrange_cameras
from leapai.pictures.palette import CLASS_COLOURS, Colour
from leapai.pictures.recording_parts import recorded_size_px
from leapai.types import CameraFrame


class Entity(StrEnum):
    """Paths of the recorded entities."""

    WORLD = "world"
    MAP = "world/map"
    TRACKS = "world/tracks"
    EGO = "world/ego"
    VEHICLE = "world/ego/vehicle"
    LIDAR = "world/ego/lidar"
    PREDICTED_MAP = "world/ego/road"
    BOXES = "world/ego/boxes"
    UNSURE = "world/ego/unsure"
    GT = "world/ego/ground_truth"
    MEMORY = "world/ego/memory"
    CAMERAS = "world/ego/cameras"
    METRICS = "figures"
    FAULTS = "faults"

    def child(self, name: str) -> str:
        """Returns the path of something below this, whatever characters its name has."""
        path: str = rr.new_entity_path([*self.split("/"), name])
        return path


_PLOTS: dict[str, Colour] = {
    "objects/detections": CLASS_COLOURS[0],
    "memory/slots": CLASS_COLOURS[4],
    "objects/ground_truth": palette.GT,
    "confidence/MOD": CLASS_COLOURS[0],
    "confidence/VRU": CLASS_COLOURS[3],
    "confidence/SOD": CLASS_COLOURS[6],
}
"""Under `Entity.METRICS`: what is plotted, in which colour."""
_CAMERAS_AREA_PX = (400, 1000)
"""Height and width of the part of the window that the cameras get; only the ratio counts."""
_SHOWN_ON_DEMAND = (Entity.UNSURE, Entity.CAMERAS)
"""Entities that are hidden in the scene until the user opens their eye in the list of entities."""


def plot_styles() -> Mapping[str, rr.SeriesLines]:
    """Returns the look of every plotted entity, by path."""
    return {
        f"{Entity.METRICS}/{name}": rr.SeriesLines(colors=[colour], names=[name.split("/")[1]])
        for name, colour in _PLOTS.items()
    }


def sequence_blueprint(cameras: Sequence[CameraFrame]) -> rrb.Blueprint:
    """Returns the layout: the scene from behind the ego and from above, every camera, and plots
    over time."""
    plots = rrb.Tabs(
        rrb.TimeSeriesView(origin=f"{Entity.METRICS}/objects", name="Objects"),
        rrb.TimeSeriesView(origin=f"{Entity.METRICS}/confidence", name="Mean confidence"),
        rrb.TimeSeriesView(origin=f"{Entity.METRICS}/memory", name="Memory"),
        rrb.TextLogView(origin=Entity.FAULTS, name="Faults"),
    )
    views = rrb.Vertical(
        rrb.Horizontal(_behind(), _above(), column_shares=[3, 2]),
        rrb.Horizontal(_camera_rows(cameras), plots, column_shares=[3, 1]),
        row_shares=[3, 2],
    )
    return rrb.Blueprint(
        views,
        rrb.BlueprintPanel(state="collapsed"),
        rrb.SelectionPanel(state="collapsed"),
        rrb.TimePanel(timeline="time", state="collapsed"),
    )


def _behind() -> rrb.Spatial3DView:
    eye = rrb.EyeControls3D(
        position=(-14.0, 0.0, 10.0), look_target=(8.0, 0.0, 0.0), eye_up=(0.0, 0.0, 1.0)
    )
    return _scene("Scene", eye, with_labels=True)


def _above() -> rrb.Spatial3DView:
    eye = rrb.EyeControls3D(
        position=(9.0, 0.0, 75.0), look_target=(9.01, 0.0, 0.0), eye_up=(1.0, 0.0, 0.0)
    )
    return _scene("From above", eye, with_labels=False)


def _scene(name: str, eye: rrb.EyeControls3D, with_labels: bool) -> rrb.Spatial3DView:
    """Returns a view of the world from the ego, which stands still in it."""
    hidden = {entity: rrb.EntityBehavior(visible=False) for entity in _SHOWN_ON_DEMAND}
    return rrb.Spatial3DView(
        origin=Entity.EGO,
        contents=f"/{Entity.WORLD}/**",
        name=name,
        background=[*palette.BACKGROUND],
        line_grid=False,
        eye_controls=eye,
        overrides={**hidden, Entity.BOXES: rr.Boxes3D.from_fields(show_labels=with_labels)},
    )


def _camera_rows(cameras: Sequence[CameraFrame]) -> rrb.Container:
    """Arranges cameras as `arrange_cameras` does: front above, back below, left on the left."""
    places = arrange_cameras(cameras, _CAMERAS_AREA_PX, 4)
    rows: dict[int, list[int]] = {}
    for i in sorted(range(len(cameras)), key=lambda i: (places[i].top, places[i].left)):
        rows.setdefault(places[i].top, []).append(i)
    return rrb.Vertical(
        *(
            rrb.Horizontal(
                *(_camera(cameras[i]) for i in row),
                column_shares=[places[i].right - places[i].left for i in row],
            )
            for row in rows.values()
        ),
        row_shares=[places[row[0]].bottom - places[row[0]].top for row in rows.values()],
    )


def _camera(camera: CameraFrame) -> rrb.Spatial2DView:
    """Returns a view that the image fills; what is projected beyond its border is cut."""
    height, width = recorded_size_px(camera)
    return rrb.Spatial2DView(
        origin=Entity.CAMERAS.child(camera.name),
        name=camera.name,
        visual_bounds=rrb.VisualBounds2D(x_range=(0, width), y_range=(0, height)),
    )
