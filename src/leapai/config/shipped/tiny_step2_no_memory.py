"""Ablation of tiny Step 2: trained for the same steps without memory, to see what memory gains.

    leapai train tiny_step2_no_memory \\
        --ckpt outputs/tiny_step1/model.ckpt

Compare with `tiny_step2_dynamic.py` and the same `--steps`. Hardware: a CPU with two cores. Score:
`docs/results.md`.
"""

from tiny_step2_dynamic import config as base

config = base.replace(job_name="tiny_step2_no_memory", enable_dynamic_temporal=False)
