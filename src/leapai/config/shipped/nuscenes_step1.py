"""Step 1 on nuScenes, full size: the ten classes of its detection task and its map, single frames.

Run, where `data/nuscenes` is the data set's folder with v1.0-trainval:

    LEAPAI_TASK_CONFIG=nuscenes_step1 torchrun --nproc_per_node=8 tools/main.py \\
        --config projects/perception/entry.py --state train

Hardware: meant for 8 GPUs of 80 GB, 16 frames each, with 16 cores a GPU to read frames. Expected,
not measured: 2 hours. 13 200 steps are 60 epochs, 1.7 million frames; a frame is at most 1.1 TFLOP
forward (5 s of two cores at 208 GFLOP/s, `docs/results.md`, and 0.05 of the coarser stages of the
LiDAR) and three times that in training, at an assumed 100 TFLOP/s a GPU. Not measured yet: score,
hours, memory.

The grid holds the circle of 51.2 m in which detectors of nuScenes commonly work. What lies outside
is neither trained nor detected: of the one open keyframe 17 of 69 labelled objects, of the default
range 11. The official evaluation counts objects up to 30, 40 or 50 m by class, all of which lie
inside.
"""

from lpperception_current_hpa_step1 import *

job_name = "nuscenes_step1"

train_steps = 13_200
max_steps = 13_200
freeze_module_schedules = dict.fromkeys(freeze_module_schedules, max_steps)

vocabulary = "nuscenes"
bev = {"x_range_m": (-51.2, 51.2), "y_range_m": (-51.2, 51.2)}
camera = {"image_size_px": (512, 896)}  # 16:9, as the images are
lidar = {"max_pillars": 40_000, "bev_coarser": (256, 256)}  # ten sweeps
# The region of 60 x 30 m in which maps of nuScenes are commonly predicted, in whole cells.
static = {"x_range_m": (-30.4, 30.4), "y_range_m": (-15.2, 15.2)}
evaluation = {
    "distance_bands_m": (0.0, 10.0, 20.0, 30.0, 40.0, 50.0),
    "map_lateral_bands_m": (0.0, 4.0, 10.0, 15.2),
}
draw_dynamic_cfg = {"valid_range": (-51.2, 51.2, -51.2, 51.2)}
data = {
    "train": "nuscenes:data/nuscenes,version=v1.0-trainval,sweeps=10,split=train",
    "val": "nuscenes:data/nuscenes,version=v1.0-trainval,sweeps=10,split=val",
}
training = {"workers": 16, "validate_every": 2_200}
