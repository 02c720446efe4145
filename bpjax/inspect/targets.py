"""Hardware that is not there, for which XLA compiles all the same."""

import importlib.util
import os
from typing import Any, NamedTuple

from jax.experimental import topologies

WHEELS = ("jax-cuda12-plugin", "jax-cuda12-pjrt", "nvidia-cuda-nvcc-cu12")  # of JAX's own version, without what they depend on


class Target(NamedTuple):
    """A kind of device, from public figures: bytes and products a second, and how XLA's compiler is told of it."""

    bandwidth: float
    peak: float  # of float32 in XLA's default precision (TF32)
    description: str


H100 = Target(
    3.35e12,
    4.95e14,
    """gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  shared_memory_per_block: 49152 shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448
  registers_per_core_limit: 65536 registers_per_block_limit: 65536 l2_cache_size: 52428800
  memory_bandwidth: 3352320000000 device_memory_size: 84978434048 cuda_compute_capability { major: 9 }
}
platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 patch: 2 } runtime_version { major: 12 minor: 9 }
device_description_str: "NVIDIA H100 80GB HBM3"
""",
)
TARGETS = {"h100": H100}


def device(target: str) -> Any:
    """A device to compile for, and not to run on.

    Errors: ValueError for another target; ImportError where the wheels that compile for it are not installed; RuntimeError where Python was
    not told that there is none here.
    """
    if target not in TARGETS:
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {target!r}")
    if importlib.util.find_spec("jax_cuda12_plugin") is None:
        raise ImportError(f"compiling for {target} needs {', '.join(WHEELS)}, installed with --no-deps beside jax")
    if os.environ.get("JAX_PLATFORMS") != "cpu" or "JAX_SKIP_CUDA_CONSTRAINTS_CHECK" not in os.environ:
        raise RuntimeError("start Python with JAX_PLATFORMS=cpu and JAX_SKIP_CUDA_CONSTRAINTS_CHECK=1: there is no such device here")
    return topologies.get_topology_desc(platform="cuda", target_config=TARGETS[target].description, topology="1x1x1").devices[0]
