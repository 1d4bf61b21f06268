"""Step 1 on Argoverse 2, full size: the 26 categories of its detection task, 150 m around.

Run, where `data/argoverse2` is the folder of the sensor data set with train/ and val/:

    LEAPAI_TASK_CONFIG=argoverse2_step1 torchrun --nproc_per_node=8 tools/main.py \\
        --config projects/perception/entry.py --state train

Hardware: meant for 8 GPUs of 80 GB, 8 frames each, with 16 cores a GPU to read frames. Expected,
not measured: 2 hours. 20 600 steps are 12 epochs, 1.3 million frames; a frame is at most 1.0 TFLOP
forward at the default grid (5 s of two cores at 208 GFLOP/s, `docs/results.md`), whose cells are
fewer than half of these, 0.1 more for the coarser stages of the LiDAR, and three times that in
training, at an assumed 100 TFLOP/s a GPU. Not measured yet: score, hours, memory.

The grid holds the 150 m of the official evaluation along each axis, in cells of 1.6 m: small
objects far away share a cell. Of the one open log 6 % of the labelled objects lie outside, of the
default range 52 %.
"""

from lpperception_current_hpa_step1 import *

job_name = "argoverse2_step1"

train_steps = 20_600
max_steps = 20_600
batch_sizes = {"train": 8, "val": 1}
freeze_module_schedules = dict.fromkeys(freeze_module_schedules, max_steps)

vocabulary = "argoverse2"
bev = {"x_range_m": (-150.4, 150.4), "y_range_m": (-150.4, 150.4), "cell_m": 1.6}
camera = {"image_size_px": (512, 680)}  # 4:3, as six of seven images are
lidar = {
    "pillar_m": 0.4,
    "max_pillars": 60_000,
    "max_points_per_pillar": 32,
    "bev_coarser": (256, 256),
}
dynamic = {"queries": 600}
# Around the vehicle, where the cameras see markings.
static = {"x_range_m": (-30.4, 62.4), "y_range_m": (-22.4, 22.4)}
evaluation = {
    "distance_bands_m": (0.0, 25.0, 50.0, 100.0, 150.0),
    "max_detections": 500,
}
draw_dynamic_cfg = {"valid_range": (-150.0, 150.0, -150.0, 150.0)}
data = {"train": "argoverse2:data/argoverse2/train", "val": "argoverse2:data/argoverse2/val"}
training = {"workers": 16, "validate_every": 5_150}
