"""Makes the pictures of the documentation from the code: `python docs/make_figures.py`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import matplotlib as mpl
import numpy as np
import torch
from figure_files import FOLDER, save
from PIL import Image

mpl.use("Agg")
from map_figures import map_figure, map_memory_figure
from matplotlib import pyplot as plt

import leapai
from leapai.checkpoints import config_of
from leapai.config import TaskConfig, load_config
from leapai.data.log import DrivingLog, open_logs
from leapai.data.transforms import collate, prepare
from leapai.models.dynamic.query_memory import Memory, NewSlots, empty_state
from leapai.models.projection import Calibration, project_cells
from leapai.pictures.frame_painter import FramePainter, painter_of
from leapai.pictures.video import VideoWriter
from leapai.types import Detections, Frame
from leapai.validation import ValidationOptions, run_validation
from leapai.weights import shipped_checkpoint

CONFIG = Path(__file__).parents[1] / "projects/perception/configs/tiny_step2_dynamic.py"
SCENES = (
    ("street", 24),
    ("crossing", 23),
    ("residential", 30),
    ("car_park", 9),
    ("garage", 25),
    ("street", 17),
    ("residential", 33),
)
"""Places and seeds of the contact sheet and the video; the last two are in the dark."""
DRIVE_DATA = "synthetic:seed=24,place=street,frames=40"
MOVING_FRAMES = 24
RECORDED = ("crossing", 23)
RECORDED_FRAMES = 24
MENU_PX = 37
"""Height of the viewer's menu bar."""
STEP = 5
"""Frames from one shown frame to the next, so that motion is visible."""


def gt_slots(frame: Frame, slots: int, channels: int) -> NewSlots:
    """Returns ground truth as slots of memory: the `slots` nearest objects."""
    assert frame.labels is not None
    order = np.argsort(np.linalg.norm(frame.labels.boxes[:, :2], axis=1))[:slots]
    labels = frame.labels.select(order)
    count = len(labels)

    def padded(values: np.ndarray) -> torch.Tensor:
        rows = np.zeros((slots, *values.shape[1:]))
        rows[:count] = values
        return torch.from_numpy(rows)[None]

    position = padded(labels.boxes[:, :3]).float()
    position[:, count:] = torch.nan  # not stored
    return NewSlots(
        query=torch.zeros(1, slots, channels),
        reference_m=position,
        velocity_mps=padded(labels.velocity_mps).float(),
        confidence=torch.ones(1, slots),
        class_id=padded(labels.class_id).long(),
        query_index=torch.arange(slots)[None],
    )


def memory_figure(config: TaskConfig, log: DrivingLog) -> None:
    """Draws history as it was stored and after alignment, with the present ground truth."""
    memory = Memory(config, config.bev.grid()).eval()
    channels = config.dynamic.embed
    state = empty_state(1, config.history_slots, channels)
    queries = torch.zeros(1, config.dynamic.queries, channels)
    start = len(log) - 1 - 3 * STEP
    raw = []
    for i in range(4):
        frame = log[start + i * STEP]
        batch = collate([prepare(frame, config.camera.image_size_px)], [i == 0])
        report = memory.read(state, batch, queries)
        new = gt_slots(frame, config.topk_query, channels)
        if i < 3:
            raw.append(new.reference_m[0].numpy())
        state = memory.push(state, report, new, batch)
    assert frame.labels is not None
    valid = report.valid[0].numpy()
    aligned = report.reference_m[0].numpy()
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.2), sharex=True, sharey=True)
    shades = ("#9ecae1", "#4292c6", "#08519c")
    slots = config.topk_query
    for age in range(3):
        part = slice(age * slots, (age + 1) * slots)
        label = f"{(3 - age) * STEP / 10:.1f} s ago"
        axes[0].scatter(raw[age][:, 1], raw[age][:, 0], s=18, color=shades[age], label=label)
        shown = aligned[part][valid[part]]
        axes[1].scatter(shown[:, 1], shown[:, 0], s=18, color=shades[age], label=label)
    gt = frame.labels.boxes
    for axis, title in zip(axes, ("as stored, each in its own ego frame", "aligned"), strict=True):
        kwargs = {"facecolors": "none", "edgecolors": "#d62728", "label": "ground truth now"}
        axis.scatter(gt[:, 1], gt[:, 0], s=70, **kwargs)
        axis.set_title(title)
        axis.set_xlabel("y, left (m)")
        axis.set_xlim(25, -25)
        axis.set_ylim(-25, 45)
        axis.set_aspect("equal")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("x, forward (m)")
    axes[1].legend(loc="upper right", fontsize=8)
    save(figure, "memory_alignment.png")


def view_transfer_figure(config: TaskConfig, log: DrivingLog) -> None:
    """Draws the number of cameras that see each cell, and the projections of two cells."""
    frame = prepare(log[0], config.camera.image_size_px)
    batch = collate([frame], [True])
    grid = config.bev.grid()
    height, width = (side // 8 for side in config.camera.image_size_px)
    projection = project_cells(
        grid, config.camera.heights_m, Calibration.of(batch.on_host()), (height, width), 8
    )
    counts = np.bincount(projection.pair_cell.numpy(), minlength=grid.rows * grid.columns)
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), width_ratios=(1, 1.4))
    x, y = grid.x_range_m, grid.y_range_m
    shown = axes[0].imshow(
        counts.reshape(grid.rows, grid.columns).T[::-1, ::-1],
        extent=(y[1], y[0], x[0], x[1]),
        cmap="Blues",
    )
    figure.colorbar(shown, ax=axes[0], shrink=0.8, label="cameras that see the cell")
    axes[0].set_xlabel("y, left (m)")
    axes[0].set_ylabel("x, forward (m)")
    camera = next(i for i, c in enumerate(frame.cameras) if c.name == "front_wide")
    axes[1].imshow(frame.cameras[camera].image)
    cells = grid.cell_centres_m()
    for target, colour in (((12.0, 3.0), "#ff7f0e"), ((20.0, -4.0), "#e377c2")):
        cell = np.linalg.norm(cells - target, axis=1).argmin()
        pair = (projection.pair_cell == int(cell)) & (projection.pair_map == camera)
        at = (projection.anchor[pair][0].numpy() + 0.5) * 8 - 0.5
        axes[1].plot(at[:, 0], at[:, 1], "o-", color=colour, ms=5)
    axes[1].set_title("two cells, each at four heights, in front_wide")
    axes[1].axis("off")
    save(figure, "view_transfer.png")


def gt_as_detections(frame: Frame) -> Detections:
    """Returns the visible labels of a frame as detections of full confidence."""
    assert frame.labels is not None
    labels = frame.labels.select(frame.labels.visible_fraction > 0.05)
    return Detections.from_labels(replace(frame, labels=labels))


def moving_picture() -> None:
    """Makes the README's picture: detections in a drive that training does not use."""
    config = config_of(shipped_checkpoint())
    log = open_logs(f"{DRIVE_DATA},rate_hz=4", image_size_px=(256, 480))[0]
    painter, stream, pictures = painter_of(config), leapai.load(), []
    for index in range(MOVING_FRAMES):
        frame = log[index]
        detections = stream.step(frame)
        picture = painter.paint(frame, detections, detections.memory, bev_map=stream.map)
        small = cv2.resize(picture, (1152, 648), interpolation=cv2.INTER_AREA)
        pictures.append(Image.fromarray(small))
    first, *others = pictures
    options = {"save_all": True, "append_images": others, "duration": 250, "loop": 0}
    first.save(FOLDER / "drive.webp", quality=55, method=6, **options)


def places_figure() -> None:
    """Shows every place through three cameras, two of them once more in the dark."""
    rows = []
    for place, seed in SCENES:
        data = f"synthetic:seed={seed},place={place},frames=40"
        log = open_logs(data, image_size_px=(288, 540))[0]
        images = {camera.name: camera.image for camera in log[20].cameras}
        rows.append(np.hstack([images[n] for n in ("front_left", "front_wide", "front_right")]))
    Image.fromarray(np.vstack(rows)).save(FOLDER / "world_places.webp", quality=70, method=6)


def world_video(config: TaskConfig) -> None:
    """Makes a video of every place with its ground truth."""
    painter = FramePainter(config.draw_dynamic_cfg, config.temporal_visualization)
    with VideoWriter(FOLDER / "world.mp4", 5.0) as video:
        for place, seed in SCENES:
            data = f"synthetic:seed={seed},place={place},frames=30,rate_hz=5"
            log = open_logs(data, image_size_px=(256, 480))[0]
            for index in range(10, 18):
                frame = log[index]
                page = painter.paint(frame, gt_as_detections(frame), None, log.vector_map())
                video.append(cv2.resize(page, (960, 540), interpolation=cv2.INTER_AREA))


def recording_figure() -> None:
    """Makes a picture of the viewer with a recording of the shipped network; needs rerun-sdk and
    Vulkan, which Mesa also has in software."""
    from rerun.experimental import ViewerClient

    data = f"synthetic:seed={RECORDED[1]},place={RECORDED[0]},frames=40,rate_hz=4"
    program = str(Path(sys.executable).with_name("rerun"))
    with TemporaryDirectory() as folder:
        options = ValidationOptions(
            Path(folder), data, shipped_checkpoint(), max_frames=RECORDED_FRAMES, viewer=True
        )
        run_validation(config_of(shipped_checkpoint()), options)
        path = next(Path(folder).glob("*.rrd"))
        with ViewerClient.spawn(
            headless=True, port=9899, hide_welcome_screen=True, executable_path=program
        ) as viewer:
            time.sleep(5)
            viewer.open(str(path))
            viewer.set_time("time", play_state="following")
            time.sleep(20)
            viewer.save_screenshot(f"{folder}/viewer.png")
        picture = Image.open(f"{folder}/viewer.png").convert("RGB")
        below_menu = picture.crop((0, MENU_PX, *picture.size))
        below_menu.save(FOLDER / "viewer.webp", quality=80, method=6)


def main() -> None:
    """Makes all pictures."""
    config = load_config(CONFIG)
    size = config.camera.image_size_px
    log = open_logs(DRIVE_DATA, image_size_px=size)[0]
    places_figure()
    world_video(config)
    memory_figure(config, log)
    moving_picture()
    map_figure()
    map_memory_figure()
    big = config.model_copy(
        update={"camera": config.camera.model_copy(update={"image_size_px": (256, 480)})}
    )
    bright = open_logs(DRIVE_DATA, image_size_px=(256, 480))[0]
    view_transfer_figure(replace_bev(big), bright)
    recording_figure()


def replace_bev(config: TaskConfig) -> TaskConfig:
    """Returns the configuration with the full-size grid, for a finer picture."""
    return config.model_copy(update={"bev": config.bev.model_copy(update={"cell_m": 0.8})})


if __name__ == "__main__":
    main()
