"""What the README shows works as it stands there."""

import re
from pathlib import Path

import pytest

from leapai.data.log import open_logs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_program_of_the_readme_runs(monkeypatch):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(ROOT)
    names = {"drive": list(open_logs("synthetic:frames=2", image_size_px=(128, 240))[0])}
    exec(program, names)
    assert names["detections"].timestamp_us == names["drive"][-1].timestamp_us


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links_lead_somewhere(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:src|benchmarks)/[^` ]+)`", README))))
def test_files_that_are_named_exist(name):
    assert (ROOT / name).exists()
