"""The machine that a table was measured on, in one line."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

# What matrix products run on, oldest first.
FLAGS: Final = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
PROCESSORS: Final = Path("/proc/cpuinfo")


def facts() -> str:
    """Processor and what it can do, cores that may be used, versions, precision."""
    model, flags = processor(PROCESSORS.read_text() if PROCESSORS.exists() else "")
    abilities = f" ({', '.join(flags)})" if flags else ""
    precision = "bfloat16 products where a preset asks for them and the processor multiplies it, else float32"
    cores = _cores()
    return (
        f"{model}{abilities}, {cores} {'core' if cores == 1 else 'cores'}; Python {platform.python_version()}, "
        f"torch {_version('torch')}, mynah {_version('mynah')}; {precision}; peers in float32"
    )


def processor(description: str) -> tuple[str, list[str]]:
    """Name and abilities out of the text of /proc/cpuinfo; what Python knows where there is none."""
    fields: dict[str, str] = {}
    for line in description.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    found = set(fields.get("flags", fields.get("Features", "")).split())
    name = fields.get("model name") or platform.processor() or platform.machine()
    return name, [flag for flag in FLAGS if flag in found]


def _cores() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
