"""Ablation of tiny Step 1: the road alone, to see what the objects cost it.

    leapai train --task-config projects/perception/configs/tiny_step1_static.py

Beside `tiny_step1.py` with the same `--steps`. Hardware: a CPU with two cores. Score:
`docs/results.md`.
"""

from tiny_step1 import *

job_name = "tiny_step1_static"

dynamic_task = False
task_loss_weights = {"static": task_loss_weights["static"]}
trainable_modules = tuple(name for name in trainable_modules if "dynamic" not in name)
