"""The configuration that a command runs with: of a file or a name, of the environment, or of a
checkpoint."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from leapai.config.checkpoint_names import existing_network
from leapai.config.config_files import existing_config, shipped_configs
from leapai.config.options import CONFIG_VARIABLE, Argument
from leapai.config.problems import ConfigError

if TYPE_CHECKING:
    from leapai.checkpoints import Checkpoint
    from leapai.config.schema import TaskConfig
    from leapai.runtime.exported_network import ExportedNetwork

OUTPUTS = Path("outputs")
DEMO_DATA = "synthetic:split=val,drives=1,rate_hz=4"
"""Data of commands that need none of the user's: a drive of the embedded world."""


@dataclass(frozen=True)
class SettingOptions:
    """Changes to a configuration."""

    settings: Annotated[
        tuple[str, ...],
        Argument(
            "change one variable, for example evaluation.min_score=0.2; may be repeated",
            flags=("--set",),
            metavar="SECTION.NAME=VALUE",
        ),
    ] = ()

    def applied_to(self, config: TaskConfig) -> TaskConfig:
        """Returns the configuration with the changes. Raises ConfigError as `with_settings`."""
        if not self.settings:
            return config
        from leapai.config.settings import with_settings

        return with_settings(config, self.settings)


@dataclass(frozen=True)
class ConfigurationOptions(SettingOptions):
    """The configuration, and changes to it."""

    task_config: Annotated[
        str | None,
        Argument(
            f"task configuration: a file or a shipped name; default: what {CONFIG_VARIABLE} names",
            metavar="FILE",
            completions=shipped_configs,
        ),
    ] = None

    @property
    def named(self) -> str | None:
        """The configuration that is named, here or in the environment."""
        return self.task_config or os.environ.get(CONFIG_VARIABLE)

    def file(self) -> Path | None:
        """Returns the configuration file that is named, if any. Raises ConfigError where it does
        not exist."""
        return existing_config(self.named) if self.named else None

    def load(self) -> TaskConfig:
        """Returns the configuration of the file, with the changes.

        Raises ConfigError where none is named, does not exist or is not valid.
        """
        return self.load_or_that_of(None)[0]

    def load_or_that_of(
        self, path: Path | None
    ) -> tuple[TaskConfig, Checkpoint | ExportedNetwork | None]:
        """Returns the configuration of the file, or else of the network at `path`, with the
        changes; and the network, None where `path` is.

        What was fitted to the weights, `dynamic.confidence`, comes from the network where the file
        leaves it as it is. Raises ConfigError where neither is named, and ValueError for files that
        do not exist or hold no valid configuration.
        """
        file = self.file()
        if file is None and path is None:
            raise ConfigError(
                f"name a configuration: a file, or one of: {', '.join(shipped_configs())}; "
                f"{CONFIG_VARIABLE} is not set either"
            )
        if path is not None:
            existing_network(path)
        if self.settings:
            from leapai.config.settings import check_settings

            check_settings(self.settings)
        config, network = None, None
        if file is not None:
            from leapai.config.load import load_config

            config = load_config(file)
        if path is not None:
            from leapai.runs.run_inputs import read_network

            network = read_network(path)
            config = network.config if config is None else _with_confidence_of(network, config)
        assert config is not None
        return self.applied_to(config), network


@dataclass(frozen=True)
class NamedConfigurationOptions(ConfigurationOptions):
    """The configuration as the first argument of a command."""

    config: Annotated[
        str | None,
        Argument(
            "file or shipped name of a task configuration, the same as --task-config",
            positional=True,
            metavar="CONFIG",
            completions=shipped_configs,
        ),
    ] = None

    @property
    def named(self) -> str | None:
        """The configuration that is named, here or in the environment.

        Raises ConfigError where it is named twice.
        """
        if self.config and self.task_config:
            raise ConfigError(
                f"CONFIG is {self.config} and --task-config is {self.task_config}: name one of them"
            )
        return self.config or super().named


def _with_confidence_of(network: Checkpoint | ExportedNetwork, config: TaskConfig) -> TaskConfig:
    """Returns the configuration with the fitted confidence of a network, unless it has one of its
    own, or the network has no valid configuration."""
    from leapai.config.network_sections import ConfidenceConfig

    if config.dynamic.confidence != ConfidenceConfig():
        return config
    try:
        fitted = network.config.dynamic.confidence
    except ValueError:  # a reason to name another
        return config
    return config.replace(dynamic={"confidence": fitted})


def name_of_run(network: Checkpoint | ExportedNetwork | None, job_name: str) -> str:
    """Returns the name of a run: that of its job, and of weights that ship where the job is theirs.
    The type of the weights follows where the network was exported, so that its run does not replace
    that of its checkpoint."""
    if network is None:
        return job_name
    from leapai.runtime.exported_network import ExportedNetwork
    from leapai.weights import card_of

    card = card_of(network.sha256)
    is_theirs = job_name == network.config.job_name
    name = job_name if card is None or not is_theirs else card.name
    if isinstance(network, ExportedNetwork):
        return f"{name}_{network.manifest.weights.type}"
    return name
