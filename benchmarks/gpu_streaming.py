"""Sections of `gpu.sh` without gradient: outputs of the GPU against the CPU, and frames a second.

Weights are random but for the trained network of the parity section; frames are made up.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gpu_section
from gpu_section import Options

if TYPE_CHECKING:
    import torch

    from leapai.config import TaskConfig
    from leapai.models.perception import Perception
    from leapai.models.tensors import FrameBatch

WARM_UP = 5
"""Frames until the memory is full and all kernels are chosen."""


def stream_batches(config: TaskConfig, count: int) -> list[FrameBatch]:
    """Returns frames of one stream at batch 1, in pinned memory where there is a GPU."""
    from bench_network import made_up_frame
    from leapai.data.transforms import collate

    size = config.camera.image_size_px
    return [collate([made_up_frame(i, size)], [i == 0]) for i in range(count)]


def built(config: TaskConfig, device: torch.device) -> Perception:
    """Returns the network with the same random weights every time."""
    import torch

    from leapai.models.build import build_model

    torch.manual_seed(0)
    return build_model(config).eval().to(device)


def streamed(
    model: Perception,
    batches: list[FrameBatch],
    device: torch.device,
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> list[Any]:
    """Returns the dynamic predictions of each frame, on the CPU."""
    import torch

    found, state = [], model.initial_state(1, device)
    with torch.inference_mode():
        for batch in batches:
            with around():
                predictions, state = model(batch.to(device), state)
            found.append(predictions.dynamic.to("cpu"))
    return found


def parity(options: Options) -> None:
    """Compares outputs: GPU against CPU in float32, and bf16 against float32 on the GPU."""
    import torch

    from leapai.checkpoints import read_checkpoint
    from leapai.models.build import build_model
    from leapai.weights import shipped_checkpoint

    device = gpu_section.device_of()
    torch.backends.cudnn.allow_tf32 = False
    checkpoint = read_checkpoint(shipped_checkpoint())
    trained_config = checkpoint.config.replace(use_backbone_amp=False)

    def trained(amp: bool, device: torch.device) -> Perception:
        model = build_model(trained_config.replace(use_backbone_amp=amp))
        model.load_state_dict(checkpoint.state_dict)
        return model.eval().to(device)

    def compared(name: str, ours: list[Any], theirs: list[Any]) -> None:
        for what in ("class_logits", "boxes"):
            pairs = [
                (getattr(a, what).float(), getattr(b, what).float())
                for a, b in zip(ours, theirs, strict=True)
            ]
            worst = max(float((a - b).abs().max()) for a, b in pairs)
            scale = float(torch.cat([b.flatten() for _, b in pairs]).std())
            options.results.add(
                f"{name}, {what}: largest difference", worst, f"of a spread of {scale:.3g}"
            )

    def whole_step() -> AbstractContextManager[object]:
        return torch.autocast(device.type, torch.bfloat16)

    batches = stream_batches(trained_config, 2 if options.tiny else 6)
    expected = streamed(trained(False, torch.device("cpu")), batches, torch.device("cpu"))
    on_device = streamed(trained(False, device), batches, device)
    compared(f"trained tiny network, {device.type} against CPU", on_device, expected)
    gpu_section.attempt(
        options,
        "bf16 backbones",
        lambda: compared(
            "trained tiny network, bf16 backbones against float32",
            streamed(trained(True, device), batches, device),
            on_device,
        ),
    )
    gpu_section.attempt(
        options,
        "bf16 whole step",
        lambda: compared(
            "trained tiny network, bf16 throughout against float32",
            streamed(trained(False, device), batches, device, whole_step),
            on_device,
        ),
    )
    if options.tiny:
        return
    full = gpu_section.config_of("step2_dynamic", tiny=False).replace(use_backbone_amp=False)
    first = stream_batches(full, 1)

    def full_size() -> None:
        cpu = streamed(built(full, torch.device("cpu")), first, torch.device("cpu"))
        gpu = streamed(built(full, device), first, device)
        compared("full size, random weights, GPU against CPU", gpu, cpu)

    gpu_section.attempt(options, "full size", full_size)


def streaming(options: Options) -> None:
    """Measures frames a second of the full-size network at batch 1, in each mode."""
    import torch

    config = gpu_section.config_of("step2_dynamic", options.tiny)
    bf16 = lambda: torch.autocast(gpu_section.device_of().type, torch.bfloat16)  # noqa: E731
    modes: dict[str, tuple[TaskConfig, Any, bool]] = {
        "float32": (config.replace(use_backbone_amp=False), nullcontext, False),
        "float32 with TF32": (config.replace(use_backbone_amp=False), nullcontext, True),
        "bf16 backbones": (config, nullcontext, True),
        "bf16 throughout": (config, bf16, True),
    }
    if not options.tiny:  # a compiler needs a minute on a CPU
        compiled = config.replace(compile=True)
        modes["bf16 backbones, compiled"] = (compiled, nullcontext, True)
        modes["bf16 throughout, compiled"] = (compiled, bf16, True)
    batches = stream_batches(config, 2 if options.tiny else WARM_UP)
    for name, (changed, around, tf32) in modes.items():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        gpu_section.attempt(
            options,
            name,
            lambda n=name, c=changed, a=around: stream_one(options, n, (c, a), batches),
        )


def stream_one(
    options: Options, name: str, mode: tuple[TaskConfig, Any], batches: list[FrameBatch]
) -> None:
    """Measures one mode: the copy of the frame to the device and the network's step."""
    import torch

    config, around = mode
    device = gpu_section.device_of()
    gpu_section.reset_peak()
    model = built(config, device)
    state = model.initial_state(1, device)
    following = replace(batches[-1], is_first=torch.zeros(1, dtype=torch.bool))

    def step(number: int) -> None:
        nonlocal state
        time_us = following.timestamp_us + 100_000 * (number + 1)
        with around():
            _, state = model(replace(following, timestamp_us=time_us).to(device), state)

    with torch.inference_mode():
        for batch in batches:
            _, state = model(batch.to(device), state)
        numbers = iter(range(10**9))
        for _ in range(1 if options.tiny else WARM_UP):
            step(next(numbers))
        seconds = gpu_section.seconds_of(lambda: step(next(numbers)), 2 if options.tiny else 60)
        with gpu_section.counted_waits() as places:
            step(next(numbers))
    options.results.add(name, 1 / seconds, "frames/s at batch 1")
    gpu_section.add_peak(options.results, name)
    gpu_section.add_waits(options.results, name, places)
