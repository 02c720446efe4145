"""Where an equation comes from: the path of its module, and the line of the user's code."""

import functools
import os
import re

import jax
import numpy as np
from jax.extend import source_info_util

_LIBRARIES = (os.path.dirname(jax.__file__) + os.sep, os.path.dirname(os.path.dirname(__file__)) + os.sep)


@functools.lru_cache(maxsize=4096)
def module_path(name_stack: str) -> str:
    """`"vmap(encoder)/fc1"` becomes `"encoder.fc1"`."""
    while (
        plain := re.sub(r"\b(?:jvp|vjp|vmap|transpose|rematted_computation|checkpoint|remat)\(([^()]*)\)", r"\1", name_stack)
    ) != name_stack:
        name_stack = plain
    return ".".join(part for part in name_stack.split("/") if part)


class Place:
    """Where in the user's code an equation stands: its module's path, and its line; read when somebody asks."""

    __slots__ = ("_name_stack", "_tracebacks")

    def __init__(self, name_stack, tracebacks: tuple):
        self._name_stack, self._tracebacks = name_stack, tracebacks

    @property
    def path(self) -> str:
        """The path of the module; empty outside of any."""
        return module_path(str(self._name_stack))

    @property
    def line(self) -> str:
        """`file:line`; empty where JAX kept none."""
        return next(filter(None, map(_user_line, self._tracebacks)), "")

    def __str__(self):
        """` in module "encoder.fc1" (model.py:12)`, as far as it is known."""
        return (f' in module "{self.path}"' if self.path else "") + (f" ({self.line})" if self.line else "")


def place_of(eqn) -> Place:
    """The place of an equation that is about to be run."""
    info, around = eqn.source_info, source_info_util.current()
    return Place(around.name_stack + info.name_stack, (info.traceback, around.traceback))


def here() -> Place:
    """The place of the equation that is being run."""
    current = source_info_util.current()
    return Place(current.name_stack, (current.traceback,))


class standing_at:
    """A context: what is traced inside stands at the equation's line, under its named scopes, on its mesh, and has its 64 bits."""

    __slots__ = ("_managers",)

    def __init__(self, eqn):
        info = eqn.source_info
        stack = source_info_util.current_name_stack() + info.name_stack
        self._managers = [source_info_util.user_context(info.traceback, name_stack=stack), eqn.ctx.manager]
        if not x64_is_on() and any(has_64_bits(v.aval.dtype) for v in (*eqn.invars, *eqn.outvars)):
            self._managers.append(jax.enable_x64(True))

    def __enter__(self):
        for manager in self._managers:
            manager.__enter__()

    def __exit__(self, *error):
        for manager in reversed(self._managers):
            manager.__exit__(*error)


def x64_is_on() -> bool:
    """Whether JAX makes 64 bits where they are asked for."""
    return jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]  (made at run time)


def has_64_bits(dtype) -> bool:
    """Whether JAX would make 32 of them where x64 is off."""
    return isinstance(dtype, np.dtype) and dtype.kind in "iufc" and dtype.itemsize == (16 if dtype.kind == "c" else 8)


def _user_line(traceback) -> str:
    for frame in traceback.frames if traceback else ():
        name = frame.file_name
        if not name.startswith(("<", *_LIBRARIES)):
            return f"{name}:{frame.line_num}"
    return ""
