"""Ablation of tiny Step 2: training keeps the most confident queries only, as inference does.

    leapai train tiny_step2_no_sampling \\
        --ckpt outputs/tiny_step1/model.ckpt --steps 1000

Compare with `tiny_step2_dynamic.py` and the same `--steps`. Hardware: a CPU with two cores. Score:
`docs/notebook.md`.
"""

from tiny_step2_dynamic import config as base

config = base.replace(
    job_name="tiny_step2_no_sampling", temporal_optimization={"random_sampling": False}
)
