"""What users' adapters and configurations are made of imports numpy, and nothing heavy."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "cv2", "pyarrow", "av", "scipy", "timm", "PIL")


@pytest.mark.parametrize(
    "module",
    ["leapai.types", "leapai.types.bev_grid", "leapai.geometry", "leapai.config", "leapai.weights"],
)
def test_nothing_heavy_is_imported(module):
    code = f"import sys, {module}; print({set(HEAVY)} & set(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "set()"


def test_types_need_nothing_else_of_the_package():
    code = "import sys, leapai.types; print(sorted(m for m in sys.modules if m[:6] == 'leapai'))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    rooms = {name.split(".")[1] for name in eval(loaded.stdout) if "." in name}
    assert rooms == {"types"}
