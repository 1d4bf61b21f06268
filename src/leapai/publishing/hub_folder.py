"""The folder of a repository on a model hub, which `leapai.load("hf://OWNER/NAME")` reads.

`README.md`          the card
`model.safetensors`  the checkpoint, without what a training resumes from
`config.json`        its configuration in full
`metrics.json`       all metrics of the run that the card gives, where there is one
`SHA256SUMS`         the digests of these files, for `sha256sum --check`; written last
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leapai.checkpoints import Checkpoint, write_checkpoint
from leapai.config.hub_options import HubOptions
from leapai.folders import refuse_links_out
from leapai.hub import DIGESTS, WEIGHTS, checked_repository
from leapai.io import remove_stale, sha256_of, whole_file, write_text
from leapai.publishing.card_evidence import Evidence, read_evidence
from leapai.publishing.card_text import local_paths
from leapai.publishing.model_card import CardFile, checked_license, model_card
from leapai.runs.run_folder import config_json

CARD, CONFIG, METRICS = "README.md", "config.json", "metrics.json"
_PUBLISHED = ("state_dict", "config", "class_names", "version", "figures")
"""Parts of a checkpoint that a reader of weights uses."""
_OF_GIT = {".git", ".gitattributes", ".gitignore"}


@dataclass(frozen=True)
class HubFolder:
    """A folder that was written."""

    files: tuple[Path, ...]
    local_paths: tuple[str, ...]
    """Paths of this machine that the configuration in it names, for the user to know."""


def write_hub_folder(checkpoint: Checkpoint, output: Path, options: HubOptions) -> HubFolder:
    """Writes a checkpoint, and the card that is made from it and its runs, into a folder.

    The folder is new, empty, one that this function wrote, or a clone of its repository. The bytes
    of the checkpoint stay as they are unless it holds the state of a training. Raises ValueError
    for runs of other weights, for a licence that is missing or none, and where the folder holds
    other files; MissingExtraError without the client of the hub; OSError where it cannot be
    written.
    """
    if options.repository is not None:
        checked_repository(options.repository)
    license_id = checked_license(options.license, checkpoint)
    evidence = read_evidence(checkpoint, options.run, options.stress)
    _claim(output)
    files = [*_write_content(checkpoint, evidence, output)]
    listed = [CardFile(path.name, path.stat().st_size, sha256_of(path)) for path in files]
    card = model_card(checkpoint, evidence, listed, license_id, options.repository)
    write_text(output / CARD, card)
    files.insert(0, output / CARD)
    digests = "".join(f"{sha256_of(path)}  {path.name}\n" for path in files)
    write_text(output / DIGESTS, digests)
    return HubFolder((*files, output / DIGESTS), local_paths(checkpoint.content.get("config")))


def _claim(output: Path) -> None:
    """Makes the folder, and removes the list of digests of an earlier one.

    Raises ValueError where it holds files of others, or a link that leads out of it.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(f"{output}: is a file, or lies below one; name a folder") from error
    remove_stale(output)
    names = {path.name for path in output.iterdir()} - _OF_GIT
    is_ours = DIGESTS in names or (output / ".git").exists()
    others = sorted(names - {CARD, WEIGHTS, CONFIG, METRICS, DIGESTS} if is_ours else names)
    if others:
        raise ValueError(
            f"{output}: holds {others[0]}, which no export to a hub wrote; name a new "
            "or empty folder, or a clone of the repository"
        )
    refuse_links_out(output, names)
    (output / METRICS).unlink(missing_ok=True)
    (output / DIGESTS).unlink(missing_ok=True)


def _write_content(checkpoint: Checkpoint, evidence: Evidence, output: Path) -> Iterator[Path]:
    """Writes weights, configuration and metrics; yields their paths."""
    _write_weights(checkpoint, output / WEIGHTS)
    yield output / WEIGHTS
    write_text(output / CONFIG, config_json(checkpoint.config))
    yield output / CONFIG
    if evidence.run is not None:
        write_text(output / METRICS, evidence.run.metrics.model_dump_json(indent=2) + "\n")
        yield output / METRICS


def _write_weights(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the checkpoint: its own bytes, unless it has more than a reader of weights uses."""
    content: dict[str, Any] = dict(checkpoint.content)
    if content.keys() - set(_PUBLISHED):
        write_checkpoint(path, {key: content[key] for key in _PUBLISHED if key in content})
        return
    with whole_file(path) as temporary:
        shutil.copyfile(checkpoint.path, temporary)
    if sha256_of(path) != checkpoint.sha256:
        raise ValueError(f"checkpoint {checkpoint}: has changed while it was exported; try again")
