"""What is kept of data sets between runs lies in a folder of its own for these tests."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LEAPAI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
