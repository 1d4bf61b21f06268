"""Options of the TensorRT provider of ONNX Runtime for a graph of an export.

TensorRT builds an engine for ranges of the free lengths. Its provider takes them as profiles: the
shapes of all inputs that have such a length, for the least, the usual and the most.
"""

from __future__ import annotations

from pathlib import Path

from leapai.runtime.manifest import GraphFacts, Manifest

_PROFILES = {"min": "least", "opt": "usual", "max": "most"}
"""Fields of `LengthBounds` by the name of TensorRT's profile."""


def tensorrt_options(
    manifest: Manifest, graph: GraphFacts, engine_cache: Path | None = None
) -> dict[str, str]:
    """Returns the options by name: the profiles of a graph, if it takes a free length, and where
    its engines are kept.

    The provider recognises engines by names and shapes, and not by weights. So each graph has a
    folder of its own in `engine_cache`, which is made. Raises OSError where it cannot be made.
    """
    options = {
        f"trt_profile_{profile}_shapes": shapes
        for profile, bound in _PROFILES.items()
        if (shapes := _shapes(manifest, graph, bound))
    }
    if engine_cache is not None:
        folder = engine_cache / graph.sha256
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"engine_cache {engine_cache}: {folder} cannot be made ({error.strerror}); name "
                "another folder"
            ) from error
        options |= {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(folder)}
    return options


def _shapes(manifest: Manifest, graph: GraphFacts, bound: str) -> str:
    """Returns the shapes of the inputs with a free length, as the provider reads them:
    `points:2x5,point_pillar:2`."""
    lengths, tensors = manifest.lengths, manifest.tensors
    shapes = {
        tensor.name: [getattr(lengths[n], bound) if isinstance(n, str) else n for n in tensor.shape]
        for tensor in map(tensors.__getitem__, graph.inputs)
        if any(isinstance(n, str) for n in tensor.shape)
    }
    return ",".join(f"{name}:{'x'.join(map(str, shape))}" for name, shape in shapes.items())
