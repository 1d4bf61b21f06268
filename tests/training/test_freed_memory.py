"""Memory that a training frees is there for its next step."""

from __future__ import annotations

import subprocess
import sys

import pytest

STEPS = """
import resource, sys
from leapai.training.freed_memory import keep_freed_memory

def faults_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        b'x' * (32 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if "keep" in sys.argv:
    keep_freed_memory()
faults_of_a_step()
print(faults_of_a_step())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted as Linux does")
def test_a_second_step_maps_no_page_anew():
    """In a process of its own, whose memory no other test has used."""
    given_back, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", STEPS, *how], capture_output=True, check=True
            ).stdout
        )
        for how in ([], ["keep"])
    )
    if given_back < 1000:
        pytest.skip("this C library, or huge pages, give nothing back")
    assert kept < given_back / 20
