"""Experiment."""

from exp1 import *

job_name = "exp2"
camera = {**camera, "depth_bins": 24, "bev_blocks": 2, "shared": True}
loss = {**loss, "dense_weight": 1.0}
