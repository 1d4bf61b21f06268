"""Random draws that depend on names alone, so that frames may be read in any order."""

from __future__ import annotations

import hashlib

import numpy as np

Generator = np.random.Generator


def generator(*names: object) -> Generator:
    """Returns a generator that is the same for equal names: a seed, a corruption, a drive, a time.

    The names are written as text, so that 1 and "1" are equal.
    """
    text = "/".join(str(name) for name in names)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
