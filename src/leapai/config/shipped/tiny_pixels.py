"""Stage 0 for a laptop: the cameras alone learn how far away a pixel is, and of which class.

    leapai train tiny_pixels

One backbone and neck serve all groups of cameras. LiDAR points, and the boxes that hold them, are
the ground truth; no task is on, so that there is nothing to score: `tiny_step1.py` goes on from the
weights. Hardware: a CPU with two cores, of which a step takes 1.2 s of one. The weights that ship
saw 450 steps.
"""

from tiny_step1 import *

job_name = "tiny_pixels"

enable_lidar = False
dynamic_task = False
static_task = False
task_loss_weights = {}

train_steps = 2_000
max_steps = 2_000
freeze_module_schedules = {}

augmentation = {**augmentation, "lidar_dropout": 0.0, "cameras_dropout": 0.0, "photometric": 0.5}
batch_sizes = {"train": 8, "val": 1}
optimizer = {"learning_rate": 2.4e-3, "warmup_steps": 60}  # 8.5e-4 for one process
data = {**data, "train": data["train"][0].removesuffix("@3")}
