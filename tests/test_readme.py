"""The program of the README works as it stands there."""

import re
from pathlib import Path

from leapai.data.log import open_logs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_program_of_the_readme_runs(monkeypatch):
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(ROOT)
    names = {"drive": list(open_logs("synthetic:frames=2", image_size_px=(128, 240))[0])}
    exec(program, names)
    assert names["detections"].timestamp_us == names["drive"][-1].timestamp_us
