"""Ablation of tiny Step 1: the objects alone, to see what the map costs them.

    leapai train tiny_step1_dynamic

Compare with `tiny_step1.py` and the same `--steps`. Hardware: a CPU with two cores. Score:
`docs/notebook.md`.
"""

from tiny_step1 import config as base

config = base.replace(
    job_name="tiny_step1_dynamic",
    static_task=False,
    task_loss_weights={"dynamic": base.task_loss_weights["dynamic"]},
)
