"""Ablation of tiny Step 2: trained on clips of two frames, so that memory is never full.

    leapai train tiny_step2_two_frames \\
        --ckpt outputs/tiny_step1/model.ckpt --steps 1000

Compare with `tiny_step2_dynamic.py` and the same `--steps`. Hardware: a CPU with two cores. Score:
`docs/notebook.md`.
"""

from tiny_step2_dynamic import config as base

config = base.replace(job_name="tiny_step2_two_frames", streaming={"clip_frames": 2})
