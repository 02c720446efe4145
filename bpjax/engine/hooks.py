"""Looking on and stepping in: one interface for `backprop`, `rules=`, `at=`, the check and every report."""

import contextlib
import contextvars
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax

from ..program import jaxprs
from ..program.jaxprs import Program
from .errors import BorrowedRuleWarning


class Hook:
    """Looks on or steps in while a gradient is taken. Subclasses override what they want."""

    wants_names = False  # whether modules shall name their outputs
    refuses_missing = False  # whether an equation without a written rule is an error, instead of being lent JAX's

    def demand_all(self) -> None:
        """Asked when all is over: raise where something that was asked for was not met."""

    def prepare(self, program: Program, owners: Mapping[Any, str]) -> Program:
        """The program that is run instead, with the same inputs and outputs; `owners`: the module of each input that is a parameter."""
        return program

    def replace(self, eqn, rule: Any) -> Any:
        """The rule that is used for this equation instead."""
        return rule

    def without_rule(self, record: Any, error: Exception) -> Sequence[Any] | None:
        """The cotangents that stand for those of an equation that has no backward rule; None: the error is raised."""
        return None

    def observe(self, record: Any, dys: Sequence[Any], dxs: Sequence[Any] | None) -> Any:
        """A pytree of arrays that is kept as a finding, or None. Where no cotangent arrives, dys are zero and dxs is None."""
        return None


class Finding:
    """What a hook saw at a record; inside a scan stacked over the steps."""

    __slots__ = ("hook", "record", "value")

    def __init__(self, hook: Hook, record: Any, value: Any):
        self.hook, self.record, self.value = hook, record, value


_hooks: contextvars.ContextVar[tuple[Hook, ...]] = contextvars.ContextVar("hooks", default=())
_findings: contextvars.ContextVar[list[Finding] | None] = contextvars.ContextVar("findings", default=None)
_mesh: contextvars.ContextVar[Any] = contextvars.ContextVar("mesh", default=None)  # the explicit one on which whoever looks on stands


def hooks() -> tuple[Hook, ...]:
    """Those that are active, the outer ones first."""
    return _hooks.get()


@contextlib.contextmanager
def hooked(*more: Hook) -> Iterator[list[Finding]]:
    """Inside, these hooks are active too. Gives the list of what they, and those around them, find."""
    token, mesh = _hooks.set((*_hooks.get(), *more)), _mesh.set(_mesh.get() or jaxprs.explicit_mesh_around())
    try:
        with collected() as findings:
            yield findings
    finally:
        _hooks.reset(token)
        _mesh.reset(mesh)


@contextlib.contextmanager
def unhooked() -> Iterator[None]:
    """Inside, no hook is active."""
    token = _hooks.set(())
    try:
        yield
    finally:
        _hooks.reset(token)


@contextlib.contextmanager
def _gathered(into: contextvars.ContextVar) -> Iterator[list]:
    """Inside, this variable holds a new list, which this gives."""
    token = into.set(found := [])
    try:
        yield found
    finally:
        into.reset(token)


def collected() -> contextlib.AbstractContextManager[list[Finding]]:
    """Inside, what is found goes into the list that this gives."""
    return _gathered(_findings)


def report(findings: Sequence[Finding]) -> None:
    """Add to what was found."""
    around = _findings.get()
    if around is not None:
        around.extend(findings)


_borrowed: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("borrowed", default=None)


def lent() -> contextlib.AbstractContextManager[list[str]]:
    """Gives the list of what is borrowed from JAX's autodiff inside."""
    return _gathered(_borrowed)


@contextlib.contextmanager
def borrowing() -> Iterator[None]:
    """Inside, what is borrowed is gathered, and at the end said in one warning; or handed on, where somebody gathers it outside."""
    with lent() as names:
        yield
    if _borrowed.get() is not None:
        for name in names:
            borrow(name)
    elif names:
        warnings.warn(
            f"nobody wrote a backward rule for {', '.join(dict.fromkeys(names))}: jax.vjp of it is borrowed, which nothing here proves. "
            'Write one with @bpjax.rule, or refuse with missing="error".',
            BorrowedRuleWarning,
            stacklevel=2,
        )


def borrow(name: str) -> None:
    """Note that an equation was lent JAX's own rule."""
    names = _borrowed.get()
    if names is not None:
        names.append(name)


def instead(record: Any, error: Exception) -> Sequence[Any]:
    """What a hook puts in place of the cotangents that no rule gives; without one the error is raised."""
    for hook in _hooks.get():
        dxs = hook.without_rule(record, error)
        if dxs is not None:
            return dxs
    raise error


def look(record: Any, dys: Sequence[Any], dxs: Sequence[Any] | None) -> None:
    """Show a record, with its cotangents, to every hook."""
    mesh = _mesh.get()
    here = lambda tree: tree if mesh is None else jax.tree.map(lambda x: jaxprs.brought(x, mesh), tree)
    with contextlib.nullcontext() if mesh is None else jax.sharding.use_abstract_mesh(mesh):
        for hook in _hooks.get():
            seen = hook.observe(record, here(dys), here(dxs))
            if seen is not None:
                report([Finding(hook, record, here(seen))])
