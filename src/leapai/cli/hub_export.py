"""The part of `leapai export` that writes the folder of a repository on a model hub."""

from __future__ import annotations

import sys
from pathlib import Path

from leapai.config.hub_options import HubOptions
from leapai.extras import is_installed, missing


def export_to_hub(checkpoint: Path, output: Path, options: HubOptions) -> None:
    """Writes the folder and prints what is in it. Raises as `write_hub_folder` does."""
    if not is_installed("huggingface_hub"):
        raise missing("hub", "a card needs huggingface_hub")
    from leapai.checkpoints import read_checkpoint
    from leapai.publishing.hub_folder import write_hub_folder

    written = write_hub_folder(read_checkpoint(checkpoint), output, options)
    for path in written.files:
        sys.stdout.write(f"  -> {path}\n")
    if written.local_paths:
        sys.stdout.write(
            f"The configuration names paths of this machine: {', '.join(written.local_paths)}. "
            "They are in config.json and in the weights.\n"
        )
    repository = options.repository or "OWNER/NAME"
    sys.stdout.write(f"Read README.md, then: hf upload {repository} {output}\n")
