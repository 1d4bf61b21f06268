"""The network with the weights that a training begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from leapai.config.schema import TaskConfig
from leapai.models.build import build_model
from leapai.models.perception import Perception
from leapai.training.initialise import initialise_from
from leapai.training.pretrained_backbone import load_pretrained


def starting_network(
    config: TaskConfig, checkpoint: Path | None, resumed: dict[str, Any] | None, console: Console
) -> Perception:
    """Returns the network with the weights of a training that is `resumed`, or those of
    `checkpoint`, or else as built, where its backbones may be pretrained.

    Raises ValueError where `checkpoint`, or the file of pretrained weights, does not fit the
    configuration.
    """
    model = build_model(config)
    if resumed is not None:
        model.load_state_dict(resumed["training"].get("weights", resumed["state_dict"]))
    elif checkpoint is not None:
        report = initialise_from(checkpoint, model, config)
        console.print(str(report), highlight=False)
    elif config.training.pretrained_backbone:
        console.print(load_pretrained(model, config), highlight=False)
    return model
