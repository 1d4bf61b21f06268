"""The launcher that torchrun starts: runs the project entry that `--config` names.

    LEAPAI_TASK_CONFIG=projects/perception/configs/lpperception_current_hpa_step2_dynamic.py \\
    torchrun --nproc_per_node=1 --master_port=21212 tools/main.py \\
        --config projects/perception/entry.py --state val --ckpt step2.ckpt

Options it does not know are passed on to the entry.
"""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path


def main() -> int:
    """Returns the exit status of the entry's `run(state, arguments)`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--config", required=True, metavar="ENTRY", help="project entry")
    parser.add_argument("--state", required=True, help="what to do, for example val")
    own, passed_on = parser.parse_known_args()
    if not Path(own.config).is_file():
        parser.exit(2, f"error: --config {own.config}: there is no such file; name the entry\n")
    status: int = runpy.run_path(own.config)["run"](own.state, passed_on)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
