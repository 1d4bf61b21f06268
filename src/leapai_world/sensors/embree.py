"""Embree, the library that casts rays: the one place that imports it.

It is an optional dependency (`leapai[world]`). Everything else of the embedded world, its version
and its ground truth included, is imported without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from leapai.extras import import_extra
from leapai.types.vocabulary import FloatArray

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


def check_installed() -> None:
    """Raises ValueError where Embree is missing; it names the extra that installs it."""
    what = "synthetic: the sensors of the embedded world cast rays with Embree (embreex)"
    import_extra("embreex", "world", what)


def new_scene(triangles_m: FloatArray) -> Any:
    """Returns an Embree scene of triangles [T, 3, 3], which are rounded to float32."""
    from embreex import rtcore_scene
    from embreex.mesh_construction import TriangleMesh

    scene = rtcore_scene.EmbreeScene()
    if len(triangles_m):
        TriangleMesh(scene, np.ascontiguousarray(triangles_m, np.float32))
    return scene
