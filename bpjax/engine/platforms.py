"""Forms of one computation, of which the platform that a program is compiled for decides."""

import os
from collections.abc import Callable
from typing import Any

from jax import lax

from ..program import jaxprs

FORCED = os.environ.get("BPJAX_FORM")  # "cpu" or "default": that form wherever a program runs, so that each can be tested on a CPU


def by_platform(*arrays: Any, cpu: Callable, default: Callable) -> Any:
    """`cpu(*arrays)` on a CPU, `default(*arrays)` elsewhere; both are traced, and which one is compiled is settled when lowering.

    The two compute the same, with results of the same types: the one in steps that keep to a CPU's cache, the other in few large ones.
    """
    forms = {"cpu": cpu, "default": default}
    return forms[FORCED](*arrays) if FORCED in forms else lax.platform_dependent(*arrays, **forms)


def in_memory(*arrays: Any) -> tuple:
    """The same arrays; elsewhere than on a CPU all of them are in memory before anything is computed from one of them."""
    return by_platform(*arrays, cpu=lambda *arrays: arrays, default=lambda *arrays: jaxprs.barrier(arrays))
