"""The program of docs/batch.md runs as printed, and its table names the fields of a batch."""

import re
from dataclasses import fields
from pathlib import Path

import torch

from leapai.models.tensors import FrameBatch

TEXT = (Path(__file__).parents[1] / "docs" / "batch.md").read_text()
NOT_MADE_BY_COLLATE = {"denoising", "fused_bev", "host", "tables", "motion", "pillars"}


def test_its_program_runs_from_own_frames_to_detections():
    names = {}
    for program in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(program, names)
    assert names["detections"].timestamp_us == 1_700_000_000_500_000
    assert names["second"].has_last.tolist() == [True]
    assert torch.allclose(names["second"].last_ego2global[0, 0, 3], torch.tensor(17.5).double())


def test_its_table_has_every_field_that_collate_fills():
    table = TEXT.split("## 3.")[1].split("## 4.")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in row.split(", ")}
    made = {field.name for field in fields(FrameBatch)} - NOT_MADE_BY_COLLATE - {"frames"}
    assert {name.strip("`") for name in named} == made
