"""Experiment: pixels."""

from exp1 import *

job_name = "exp_pixels"
enable_lidar = False
dynamic_task = False
static_task = False
task_loss_weights = {}
camera = {**camera, "depth_bins": 24, "bev_blocks": 2, "shared": True}
augmentation = {"lidar_dropout": 0.0, "cameras_dropout": 0.0, "photometric": 0.5}
train_steps = 2000
max_steps = 2000
freeze_module_schedules = {}
optimizer = {"learning_rate": 2.4e-3, "warmup_steps": 100}
