"""Ablation of tiny Step 1: the map alone, to see what the objects cost it.

    leapai train tiny_step1_static

Compare with `tiny_step1.py` and the same `--steps`. Hardware: a CPU with two cores. Score:
`docs/notebook.md`.
"""

from tiny_step1 import config as base

config = base.replace(
    job_name="tiny_step1_static",
    dynamic_task=False,
    task_loss_weights={"static": base.task_loss_weights["static"]},
)
