"""The inputs of a run: the network with its weights, and the data, opened and identified."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leapai.config.checkpoint_names import MANIFEST
from leapai.config.schema import TaskConfig
from leapai.data.log import DrivingLog, open_logs, version_of
from leapai.io import sha256_of
from leapai.runs.run_folder import config_json
from leapai.runs.run_summary import RunOrigin
from leapai.runtime.exported_network import ExportedNetwork

if TYPE_CHECKING:
    from leapai.checkpoints import Checkpoint
    from leapai.models.perception import Perception

SHOWN_OF_RANDOM_WEIGHTS = 20
"""Detections of random weights that are drawn and evaluated: the best ones, as none is sure."""
RANDOM_WEIGHTS_SEED = 0


@dataclass(frozen=True)
class RunInputs:
    """Inputs of a run: configuration, network and data."""

    config: TaskConfig
    model: Perception | ExportedNetwork
    logs: Sequence[DrivingLog]
    origin: RunOrigin


def open_inputs(
    config: TaskConfig,
    source: Path | Checkpoint | ExportedNetwork | None,
    data: str,
    max_frames: int | None,
    *,
    labelled: bool = True,
) -> RunInputs:
    """Builds the network, loads its weights and opens the data.

    `source` is a network, read before or not; None: the weights are random, and the thresholds of
    the configuration are lowered to let some of their guesses through. Not `labelled`: labels
    may be of any classes, as nothing is compared with them. Raises ValueError for weights that do
    not fit the configuration, and for data that cannot be read.
    """
    source = read_network(source) if isinstance(source, Path) else source
    if source is None:
        config = _let_guesses_through(config)
    model: Perception | ExportedNetwork
    exported = source if isinstance(source, ExportedNetwork) else None
    if isinstance(source, ExportedNetwork):
        source.check_config(config)
        model, device = source, source.device
    else:
        model, device = _built(config, source)
    logs = open_logs(
        data,
        image_size_px=config.camera.image_size_px,
        label_range_m=config.bev.label_range_m,
        vocabulary=config.vocabulary if labelled else None,
    )
    origin = RunOrigin(
        job_name=config.job_name,
        data=data,
        weights="random: the network is untrained" if source is None else str(source),
        device=device,
        data_version=version_of(logs),
        config_sha256=hashlib.sha256(config_json(config).encode()).hexdigest(),
        checkpoint_sha256=None if source is None else source.sha256,
        seed=RANDOM_WEIGHTS_SEED if source is None else config.training.seed,
        max_frames=max_frames,
        exported_sha256=sha256_of(exported.folder / MANIFEST) if exported else None,
        exported_weights=exported.manifest.weights.type if exported else None,
    )
    return RunInputs(config, model, logs, origin)


def _built(config: TaskConfig, checkpoint: Checkpoint | None) -> tuple[Perception, str]:
    """Returns the network in PyTorch, and the device that it runs on."""
    import torch  # late: an exported network needs none of this

    from leapai.checkpoints import check_classes, load_checkpoint
    from leapai.distributed import current_ranks
    from leapai.models.build import build_model

    device = str(current_ranks().device)
    if torch.cuda.is_available():
        torch.cuda.set_device(device)
    torch.manual_seed(RANDOM_WEIGHTS_SEED)
    model = build_model(config)
    if checkpoint is not None:
        check_classes(checkpoint, config)
        load_checkpoint(checkpoint, model)
    return model, device


def read_network(path: Path) -> Checkpoint | ExportedNetwork:
    """Reads a checkpoint, or the folder of an exported network. Raises ValueError where it is
    neither."""
    if path.is_dir():
        return ExportedNetwork(path)
    from leapai.checkpoints import read_checkpoint

    return read_checkpoint(path)


def _let_guesses_through(config: TaskConfig) -> TaskConfig:
    """Returns the configuration with thresholds for the detections of an untrained network."""
    draw = config.draw_dynamic_cfg.model_copy(
        update={"dynamic_conf": 0.0, "max_objects": SHOWN_OF_RANDOM_WEIGHTS}
    )
    evaluation = config.evaluation.model_copy(
        update={"min_score": 0.0, "max_detections": SHOWN_OF_RANDOM_WEIGHTS}
    )
    return config.model_copy(
        update={
            "draw_dynamic_cfg": draw,
            "evaluation": evaluation,
            "tracking": config.tracking.model_copy(update={"birth_score": 0.0}),
        }
    )
