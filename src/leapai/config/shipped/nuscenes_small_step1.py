"""Step 1 on nuScenes for one GPU: smaller images, a narrower network, the same classes and range.

    leapai train nuscenes_small_step1

Hardware: meant for one GPU of 24 GB, 8 frames a step, with 16 cores to read frames. Expected, not
measured: 5 hours, for which reading decides: 70 000 steps are 20 epochs, 560 000 frames, and a core
prepares 6.5 real frames a second by measurement, 1.5 hours for 16 cores; ten sweeps are read for
each, which is not in that number. Not measured yet: score, hours, memory.
"""

from nuscenes_step1 import *

job_name = "nuscenes_small_step1"

train_steps = 70_000
max_steps = 70_000
batch_sizes = {"train": 8, "val": 1}
freeze_module_schedules = dict.fromkeys(freeze_module_schedules, max_steps)

bev = {**bev, "channels": 128}
camera = {"image_size_px": (256, 448), "backbone": "resnetv2_18", "heads": 4}
lidar = {**lidar, "max_pillars": 30_000, "max_points_per_pillar": 20, "bev_coarser": (128, 256)}
dynamic = {"neck_channels": 128, "queries": 300, "embed": 128, "heads": 4, "points": 12}
static = {**static, "cell_m": 0.4, "channels": 64}
training = {**training, "validate_every": 10_000}
