"""KITTI's tables: rows of words and numbers in text files, and XML."""

from __future__ import annotations

import errno
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

import numpy as np

from leapai.data import columns
from leapai.data.reading import regular_bytes
from leapai.data.sensor_bounds import rigid_problem
from leapai.types import FloatArray

REMEDY = "get the file again"
Bounds = tuple[float, float] | range
"""Smallest and largest value of a field. Those of a range are whole numbers."""
_FINITE = (-1e12, 1e12)
_NUMERIC = re.compile(r"[-+.0-9eE ]*")
"""Letters of rows of numbers. `float` also takes `4_0`, `nan`, and digits of other scripts."""
_MAX_XML_BYTES, _MAX_ELEMENTS = 1 << 24, 500_000
"""Largest file of labels: 25 objects in each of 1000 frames fit, of 600 bytes and 20 elements a
pose."""


def rows(path: Path) -> dict[str, list[str]]:
    """Returns the words of each row that is not empty, by its name, such as `row 1`. Raises
    ValueError."""
    words = enumerate(map(str.split, lines(path)), start=1)
    return {f"row {i}": row for i, row in words if row}


def lines(path: Path) -> list[str]:
    """Returns the lines of a file of text. Raises ValueError."""
    try:
        return regular_bytes(path).decode("ascii").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "is no text"
        raise ValueError(f"{path}: cannot be read ({words}); {REMEDY}") from None


def numbers(
    path: Path, table: Mapping[str, Sequence[str]], bounds: Mapping[str, Bounds]
) -> FloatArray:
    """Returns the numbers [N, F] of N rows of words, given by name. `bounds` has their F fields, in
    order. Raises ValueError that names file, row, field and value of the first other."""
    found = np.zeros((len(table), len(bounds)))
    for i, (name, row) in enumerate(table.items()):
        words = " ".join(row)
        try:
            values = np.array(row if _NUMERIC.fullmatch(words) else [], np.float64)
        except ValueError:
            values = np.zeros(0)
        if len(values) != len(bounds):
            words = f"{name} = {words[:60]!r} lacks {len(bounds)} finite numbers"
            raise ValueError(f"{path}: {words}; {REMEDY}")
        found[i] = values
    for values, (field, limits) in zip(found.T, bounds.items(), strict=True):
        low, high, is_whole = limits[0], limits[-1], isinstance(limits, range)
        good = (values >= low) & (values <= high) & ((np.floor(values) == values) | (not is_whole))
        if not good.all():
            i = int(np.argmin(good))
            words = f"{list(table)[i]}: {field} = {values[i]:.10g} is"
            words += f" {'no whole number' if is_whole else 'not'} from {low:g} to {high:g}"
            raise ValueError(f"{path}: {words}; {REMEDY}")
    return found


class NamedNumbers:
    """Numbers of a calibration file, a name before each row of them. Methods raise ValueError for
    what is missing or damaged; the first of several `names` is that of the error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows = {row[0].rstrip(":"): row[1:] for row in rows(path).values()}

    def vector(self, length: int, *names: str, bounds: Bounds = _FINITE) -> FloatArray:
        """Returns the numbers [length] of the first name that is there."""
        row = next((self._rows[name] for name in names if name in self._rows), [])
        fields = {f"number {i + 1}": bounds for i in range(length)}
        found: FloatArray = numbers(self.path, {names[0]: row}, fields)[0]
        return found

    def rigid(self, width: int, *names: str) -> FloatArray:
        """Returns a transform [4, 4] of 3 rows of `width` numbers: 3 are a rotation alone."""
        found = np.eye(4)
        found[:3, :width] = self.vector(3 * width, *names).reshape(3, width)
        if problem := rigid_problem(found):
            raise ValueError(f"{self.path}: {names[0]} {problem}; {REMEDY}")
        return found

    def projection(self, name: str, size_px: tuple[int, int]) -> FloatArray:
        """Returns the projection [3, 4] to images of this height and width."""
        found = self.vector(12, name).reshape(3, 4)
        if not columns.intrinsics(found[None, :, :3], np.array([size_px])).all():
            height, width = size_px
            raise ValueError(
                f"{self.path}: {name} = {found.tolist()} is no projection to an image of {width} x "
                f"{height} pixels; {REMEDY}"
            )
        return found


def xml_tree(path: Path) -> Element:
    """Reads an XML file, without its attributes. Raises ValueError where it is damaged or too
    large, and where it declares entities, which could name other files or grow without end."""
    builder, parser, count = TreeBuilder(), expat.ParserCreate(), itertools.count(1)

    def start(name: str, _: object) -> None:
        if next(count) > _MAX_ELEMENTS:
            raise OSError(errno.EFBIG, f"has more than {_MAX_ELEMENTS:,} elements")
        builder.start(name, {})

    def refuse(name: str, *_: object) -> None:
        raise OSError(errno.EINVAL, f"declares the entity {name[:60]!r}, as no labels do")

    parser.buffer_text = True  # else each line is an object of its own
    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler, parser.EntityDeclHandler = builder.data, refuse
    try:
        parser.Parse(regular_bytes(path, _MAX_XML_BYTES), True)
    except (OSError, ValueError, LookupError, expat.ExpatError) as error:  # some by its encoding
        words = getattr(error, "strerror", None) or f"is no valid XML: {error}"
        raise ValueError(f"{path}: {words}; {REMEDY}") from None
    return builder.close()
