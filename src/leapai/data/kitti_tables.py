"""KITTI's tables: rows of words and numbers in text files, and XML."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from leapai.data import columns
from leapai.data.reading import regular_bytes
from leapai.data.sensor_bounds import rigid_problem
from leapai.types import FloatArray, IntArray

REMEDY = "get the file again"
_MAX_XML_BYTES = 1 << 25
"""Largest file of labels: 600 bytes a box, so 50 objects in each of 1000 frames fit."""


def rows(path: Path) -> list[list[str]]:
    """Returns the words of each row that is not empty. Raises ValueError."""
    return [row for row in map(str.split, lines(path)) if row]


def lines(path: Path) -> list[str]:
    """Returns the lines of a file of text. Raises ValueError."""
    try:
        return regular_bytes(path).decode("ascii").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "is no text"
        raise ValueError(f"{path}: cannot be read ({words}); {REMEDY}") from None


def numbers(path: Path, table: list[list[str]], width: int, name: str = "") -> FloatArray:
    """Returns rows of so many finite numbers [N, width]. Raises ValueError that names the first
    other, by its `name` or its number."""
    for i, row in enumerate(table, start=1):
        try:
            values = np.array(row, np.float64)
        except ValueError:
            values = np.zeros(0)
        if len(values) != width or not (np.abs(values) < 1e12).all():
            words = f"{name or f'row {i}'} = {' '.join(row)[:60]!r}"
            raise ValueError(f"{path}: {words} lacks {width} finite numbers; {REMEDY}")
    return np.array(table, np.float64).reshape(len(table), width)


def whole(path: Path, name: str, values: FloatArray, bounds: tuple[int, int]) -> IntArray:
    """Returns whole numbers [N] within bounds. Raises ValueError that names the first other."""
    found, good = columns.whole_numbers(values, *bounds)
    if not good.all():
        low, high = bounds
        raise ValueError(
            f"{path}: {name} = {values[~good][0]:.10g} is no whole number from {low} to {high}; "
            f"{REMEDY}"
        )
    return found


class NamedNumbers:
    """Numbers of a calibration file, a name before each row of them. Methods raise ValueError for
    what is missing or damaged; the first of several `names` is that of the error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = {row[0].rstrip(":"): row[1:] for row in rows(path)}

    def vector(self, length: int, *names: str) -> FloatArray:
        """Returns the numbers [length] of the first name that is there."""
        row = next((self._rows[name] for name in names if name in self._rows), [])
        found: FloatArray = numbers(self.path, [row], length, names[0])[0]
        return found

    def rigid(self, width: int, *names: str) -> FloatArray:
        """Returns a transform [4, 4] of 3 rows of `width` numbers: 3 are a rotation alone."""
        found = np.eye(4)
        found[:3, :width] = self.vector(3 * width, *names).reshape(3, width)
        if problem := rigid_problem(found):
            raise ValueError(f"{self.path}: {names[0]} {problem}; {REMEDY}")
        return found

    def projection(self, name: str) -> FloatArray:
        """Returns the projection [3, 4] of a camera."""
        found = self.vector(12, name).reshape(3, 4)
        if not (found[0, 0] > 0 and found[1, 1] > 0 and found[2, 2] == 1):
            raise ValueError(f"{self.path}: {name} is no projection of a camera; {REMEDY}")
        return found


def xml_tree(path: Path) -> Element:
    """Reads an XML file. Raises ValueError where it is damaged or too large, and where it declares
    entities, which could name other files or grow without end."""

    def refuse(name: str, *_: object) -> None:
        raise ValueError(f"{path}: declares the entity {name[:60]!r}, as no labels do; {REMEDY}")

    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = builder.data, refuse
    try:
        parser.Parse(regular_bytes(path, _MAX_XML_BYTES), True)
    except (OSError, expat.ExpatError) as error:
        words = getattr(error, "strerror", None) or f"is no valid XML: {error}"
        raise ValueError(f"{path}: {words}; {REMEDY}") from None
    return builder.close()
