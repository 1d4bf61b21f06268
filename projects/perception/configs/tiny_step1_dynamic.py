"""Ablation of tiny Step 1: the objects alone, to see what the road costs them.

    leapai train --task-config projects/perception/configs/tiny_step1_dynamic.py

Beside `tiny_step1.py` with the same `--steps`. Hardware: a CPU with two cores. Score:
`docs/results.md`.
"""

from tiny_step1 import *

job_name = "tiny_step1_dynamic"

static_task = False
task_loss_weights = {"dynamic": task_loss_weights["dynamic"]}
trainable_modules = tuple(name for name in trainable_modules if "static" not in name)
