"""The sections of `gpu.sh`: what is measured on a GPU, each in a process of its own.

    python benchmarks/bench_gpu.py SECTION --output FOLDER [--seconds 100] [--tiny]

`gpu_streaming.py` and `gpu_training.py` hold those that run the network.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from gpu_section import GB, Options, seconds_of
from gpu_streaming import parity, streaming
from gpu_table import Results
from gpu_training import steps, training

NEEDED = ("torch", "numpy", "scipy", "pydantic", "safetensors", "cv2", "PIL", "pyarrow", "rich")
OPTIONAL = {
    "timm": "tests of backbones",
    "embreex": "the training section",
    "tensorboard": "curves of trainings",
    "pytest": "the tests section",
    "xdist": "parallel tests",
    "hypothesis": "some tests",
    "triton": "torch.compile",
}
"""Package -> what is left out without it."""
TESTS = ("tests/models", "tests/training/test_train_step.py", "tests/training/test_losses.py")
TINY_TESTS = ("tests/models/test_sampling.py",)


def machine(options: Options) -> None:
    """Reports versions, the GPU, and packages that are missing."""
    add = options.results.add
    add("Python", platform.python_version())
    add("processor cores", len(os.sched_getaffinity(0)))
    for name in (*NEEDED, *OPTIONAL):
        try:
            module = importlib.import_module(name)
        except ImportError as error:
            add(name, f"missing, without it no {OPTIONAL.get(name, 'section')}", str(error))
        else:
            add(name, str(getattr(module, "__version__", "there")))
    import torch

    if not torch.cuda.is_available():
        add("GPU", "none: everything runs on the CPU")
        return
    properties = torch.cuda.get_device_properties(0)
    add("GPU", properties.name, f"{properties.total_memory / GB:.0f} GB")
    for dtype in (torch.float32, torch.bfloat16):
        size = 8192
        matrix = torch.randn(size, size, device="cuda", dtype=dtype)
        seconds = seconds_of(lambda m=matrix: m @ m, 10)
        add(f"{size} x {size} matrix product, {dtype}", 2e-12 * size**3 / seconds, "TFLOP/s")


def tests(options: Options) -> None:
    """Runs the tests of the network and of the training step on this machine."""
    files = TINY_TESTS if options.tiny else TESTS
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *files]
    if importlib.util.find_spec("xdist") and not options.tiny:
        command += ["-n", str(min(12, len(os.sched_getaffinity(0))))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines() or [done.stderr[-200:]]
    options.results.add(" ".join(files), lines[-1].strip("= "))
    for line in [line for line in lines if line.startswith(("FAILED", "ERROR"))][:10]:
        options.results.add("failed", line[:200])


SECTIONS: dict[str, Callable[[Options], None]] = {
    section.__name__: section for section in (machine, parity, streaming, steps, tests, training)
}


def main() -> None:
    """Runs one section."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("section", choices=list(SECTIONS))
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    results = Results(given.output, given.section)
    results.write()
    SECTIONS[given.section](Options(results, time.monotonic() + 0.95 * given.seconds, given.tiny))


if __name__ == "__main__":
    main()
