"""Step 1 on Argoverse 2 for one GPU: smaller images, a narrower network, 100 m around.

    leapai train argoverse2_small_step1

Hardware: meant for one GPU of 24 GB, 4 frames a step, with 16 cores to read frames. Expected, not
measured: 5 hours, for which reading decides: 110 000 steps are 4 epochs, 440 000 frames, and a core
prepares 6.5 real frames a second by measurement of nuScenes' images, of which Argoverse's have
twice the pixels. Not measured yet: score, hours, memory.
"""

from argoverse2_step1 import *

job_name = "argoverse2_small_step1"

train_steps = 110_000
max_steps = 110_000
batch_sizes = {"train": 4, "val": 1}
freeze_module_schedules = dict.fromkeys(freeze_module_schedules, max_steps)

bev = {"x_range_m": (-102.4, 102.4), "y_range_m": (-102.4, 102.4), "cell_m": 1.6, "channels": 128}
camera = {"image_size_px": (256, 344), "backbone": "resnetv2_18", "heads": 4}
lidar = {**lidar, "max_pillars": 30_000, "max_points_per_pillar": 20, "bev_coarser": (128, 256)}
dynamic = {"neck_channels": 128, "queries": 400, "embed": 128, "heads": 4, "points": 12}
static = {"x_range_m": (-30.4, 62.4), "y_range_m": (-22.4, 22.4), "cell_m": 0.4, "channels": 64}
training = {**training, "validate_every": 20_000}
