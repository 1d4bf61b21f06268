"""`leapai info`: what a bug report needs of the machine, the package and its dependencies."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from leapai.config.options import CONFIG_VARIABLE
from leapai.version import __version__
from leapai.weights import shipped_checkpoint

REPORTED = (CONFIG_VARIABLE, "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
"""Variables of the environment that change what the package does."""
_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Devices of Linux, one of which is there where PyTorch can use a GPU."""
_GIT_PATIENCE_S = 2.0


@dataclass(frozen=True)
class PackageInfo:
    """The installed copy of the package."""

    version: str
    location: str
    git_commit: str | None
    """The commit, with `, changed` where tracked files differ from it; None: the copy is in no
    repository."""


@dataclass(frozen=True)
class MachineInfo:
    """The computer and the Python that the package runs on."""

    python: str
    platform: str
    cpu: str
    cpus: int
    usable_cpus: int
    """Those that this process may run on."""
    memory_gb: float | None
    """Main memory in GB; None: the system does not report it."""


@dataclass(frozen=True)
class TorchInfo:
    """PyTorch, and the devices and libraries that it computes with."""

    version: str | None
    """None: PyTorch is not installed."""
    cuda: str | None
    """Version of CUDA that PyTorch was built for."""
    cudnn: str | None
    gpus: tuple[str, ...]
    """GPUs it can use, such as `NVIDIA H100, 80 GB`."""


@dataclass(frozen=True)
class CheckpointInfo:
    """The checkpoint that ships with the package."""

    path: str
    sha256: str


@dataclass(frozen=True)
class SystemInfo:
    """Facts on package, machine and dependencies that `leapai info` reports."""

    package: PackageInfo
    machine: MachineInfo
    torch: TorchInfo
    dependencies: dict[str, str | None]
    """Version of each dependency; None: it is not installed."""
    extras: dict[str, dict[str, str | None]]
    """Versions of optional dependencies, by extra."""
    checkpoint: CheckpointInfo | str
    """The shipped checkpoint, or what is wrong with it."""
    environment: dict[str, str | None]


def system_info() -> SystemInfo:
    """Collects the facts on the machine and the package; sends nothing anywhere."""
    dependencies, extras = _dependencies()
    return SystemInfo(
        package=_package(),
        machine=machine_info(),
        torch=_torch(),
        dependencies=dependencies,
        extras=extras,
        checkpoint=_checkpoint(),
        environment={name: os.environ.get(name) for name in REPORTED},
    )


def render_info(info: SystemInfo) -> str:
    """Returns plain lines, to be pasted into a bug report."""
    package, machine, pytorch = info.package, info.machine, info.torch
    memory = "unknown" if machine.memory_gb is None else f"{machine.memory_gb:.1f} GB"
    lines = {
        "leapai": f"{package.version} in {package.location}",
        "git commit": package.git_commit or "none",
        "python": f"{machine.python} on {machine.platform}",
        "cpu": f"{machine.cpu}, {machine.cpus} cores, {machine.usable_cpus} usable",
        "memory": memory,
        "torch": pytorch.version or "MISSING",
        "cuda": f"{pytorch.cuda or 'none'}, cuDNN {pytorch.cudnn or 'none'}",
        "gpu": "; ".join(pytorch.gpus) or "none",
        "needs": _listed(info.dependencies),
        **{f"extra {name}": _listed(versions) for name, versions in info.extras.items()},
        "checkpoint": _checkpoint_words(info.checkpoint),
        **{name: value or "not set" for name, value in info.environment.items()},
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {words}" for name, words in lines.items())


def _listed(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version or 'MISSING'}" for name, version in versions.items())


def _checkpoint_words(checkpoint: CheckpointInfo | str) -> str:
    if isinstance(checkpoint, str):
        return checkpoint
    return f"{Path(checkpoint.path).name}, sha256 {checkpoint.sha256[:12]}"


def _package() -> PackageInfo:
    folder = Path(str(files("leapai")))
    return PackageInfo(__version__, str(folder), git_commit(folder))


def git_commit(folder: Path) -> str | None:
    """Returns the commit of the repository that tracks `folder`.

    None: no repository does, as in a virtual environment that lies in somebody's repository.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit and commit + (", changed" if changed else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        ended = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_PATIENCE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout.strip()


def machine_info() -> MachineInfo:
    """Returns the facts on the computer and its Python."""
    cpus = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cpus
    memory_gb = None
    if hasattr(os, "sysconf"):
        memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return MachineInfo(
        platform.python_version(), platform.platform(), cpu_name(), cpus, usable, memory_gb
    )


def cpu_name() -> str:
    """Returns the name of the CPU: on Linux that of a file, elsewhere that of `platform`."""
    table = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", table.read_text()) if table.is_file() else None
    return named[1] if named else platform.processor() or platform.machine()


def _torch() -> TorchInfo:
    """Returns the facts on PyTorch, which is imported only where it may have a GPU: that takes
    seconds."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return TorchInfo(version=None, cuda=None, cudnn=None, gpus=())
    build = runpy.run_path(str(Path(spec.origin).with_name("version.py")))
    has_driver = sys.platform != "linux" or any(Path(device).exists() for device in _DRIVERS)
    may_have_gpu = (build["cuda"] or build["hip"]) and has_driver
    if "torch" not in sys.modules and not may_have_gpu:
        return TorchInfo(build["__version__"], build["cuda"], cudnn=None, gpus=())
    return _imported_torch()


def _imported_torch() -> TorchInfo:
    import torch

    gpus = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        gpus.append(f"{properties.name}, {properties.total_memory / 1e9:.0f} GB")
    cudnn_version: Callable[[], int | None] = torch.backends.cudnn.version  # untyped in PyTorch
    cudnn = cudnn_version()
    return TorchInfo(
        version=torch.__version__,
        cuda=torch.version.cuda,
        cudnn=str(cudnn) if cudnn else None,
        gpus=tuple(gpus),
    )


def _dependencies() -> tuple[dict[str, str | None], dict[str, dict[str, str | None]]]:
    """Returns versions of what the installed package requires; none where it is not installed."""
    try:
        required = importlib.metadata.requires("leapai") or []
    except importlib.metadata.PackageNotFoundError:
        required = []
    dependencies: dict[str, str | None] = {}
    extras: dict[str, dict[str, str | None]] = {}
    for requirement in required:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", requirement)
        if name != "leapai":  # an extra that takes another one in
            group = extras.setdefault(extra[1], {}) if extra else dependencies
            group[name] = _version(name)
    return dependencies, extras


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _checkpoint() -> CheckpointInfo | str:
    try:
        path = shipped_checkpoint()
    except ValueError as error:
        return str(error)
    with path.open("rb") as file:
        return CheckpointInfo(str(path), hashlib.file_digest(file, "sha256").hexdigest())
