"""`find_nan`: in which equation the first NaN or infinity appears, forward or backward, and what went in."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..program.jaxprs import Literal
from ..program.places import place_of
from .replay import Replay, function_of


class NanReport(NamedTuple):
    """Where the first non-finite value appears. False in a condition if there is none; `str` tells it in a few lines.

    Attributes:
        direction: "forward", "backward", "input" (an argument that holds NaN), or "" where all is finite.
        equation: the op, function or primitive; of an input its name.
        module: the module of that equation; "after fc2" for what follows its parameters.
        scope: the named scopes in which it stands, if they say something else.
        line: file:line of the code that called it.
        step: the scan step, or None.
        values: what went in and what came out, by name.
        note: what else there is to know.
    """

    direction: str
    equation: str = ""
    module: str = ""
    scope: str = ""
    line: str = ""
    step: tuple[int, ...] | None = None
    values: dict[str, Any] = {}
    note: str = ""

    def __bool__(self):
        return bool(self.direction)

    def __str__(self):
        if not self:
            return "no NaN and no infinity reaches the value or the gradient"
        if self.direction == "input":
            return f"{self.equation} holds NaN before the function begins\n" + self._values()
        at = f' in module "{self.module}"' if self.module else ""
        scope = f" (scope {self.scope})" if self.scope else ""
        step = f", scan step {', '.join(map(str, self.step))}" if self.step else ""
        line = f", {self.line}" if self.line else ""
        head = f"the first non-finite value appears in the {self.direction} pass of {self.equation}{at}{scope}{line}{step}"
        return "\n".join([head, self._values(), *([f"  note: {self.note}"] if self.note else [])])

    def _values(self):
        return "\n".join(f"  {name} = {_shown(x)}" for name, x in self.values.items())


def find_nan(f: Callable, *args, argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs) -> NanReport:
    """The equation in which the first NaN or infinity that reaches the value or the gradient of `f` appears.

    The function is run equation by equation, also inside `jit`, scans, branches and checkpoints; where its value is finite, so is its
    backward pass, by the rules that `bpjax.grad` uses. An infinity that the program itself writes (a mask of -inf) is not
    reported, but a NaN made from it is.

    Args:
        f: any function that `bpjax.grad` takes; its value need not be a scalar.
        args, kwargs: its arguments; argnums: those that are differentiated; has_aux: whether `f` returns `(value, aux)`.

    >>> import jax.numpy as jnp, bpjax
    >>> report = bpjax.find_nan(lambda x: jnp.sum(jnp.sqrt(x)), jnp.array([0.0, 1.0]))
    >>> report.direction, report.equation
    ('backward', 'sqrt')
    """
    replay = Replay(f, args, kwargs, argnums, has_aux)
    found, hidden = _forward(replay)
    if found is not None:
        return found
    replay.back()
    return _backward(replay, hidden)


def _forward(replay: Replay) -> tuple[NanReport | None, set]:
    """The first event of which the value is not finite; and the equations with events that stay hidden."""
    state: dict[Any, str] = {}  # of variables that are not finite: "given" by the program itself, or "bad"
    made_by: dict[Any, int] = {}
    events: set[int] = set()
    inputs = {}
    for v, x in zip(replay.invars, replay.inputs):
        if _has_nan(x):
            state[v], inputs[v] = "bad", x
        elif not _is_finite(x):
            state[v] = "given"
    for i, eqn in enumerate(replay.eqns):
        kinds = {_given(v) if isinstance(v, Literal) else state.get(v) for v in eqn.invars}
        for v in eqn.outvars:
            made_by[v] = i
            x = replay.values[v]
            if _is_finite(x):
                continue
            if "bad" in kinds:
                state[v] = "bad"
            elif not _has_nan(x) and "given" in kinds:
                state[v] = "given"
            else:
                state[v] = "bad"
                events.add(i)
    reached, front = set(), [v for v in replay.program.outvars if not isinstance(v, Literal) and state.get(v) == "bad"]
    while front:
        v = front.pop()
        if v in reached:
            continue
        reached.add(v)
        if v in made_by and made_by[v] not in events:
            front += [u for u in replay.eqns[made_by[v]].invars if not isinstance(u, Literal) and state.get(u) == "bad"]
    if sources := [v for v in replay.invars if v in reached and v in inputs]:
        name = replay.names[sources[0]]
        return NanReport("input", name, values={name: inputs[sources[0]]}), set()
    first = min((made_by[v] for v in reached if made_by.get(v) in events), default=None)
    if first is None:
        return None, {replay.eqns[i] for i in events}
    eqn = replay.eqns[first]
    outputs = {f"output {i}" if len(eqn.outvars) > 1 else "output": replay.values[v] for i, v in enumerate(eqn.outvars)}
    return _report(replay, "forward", eqn, _inputs(replay, eqn) | outputs), set()


def _backward(replay: Replay, hidden: set) -> NanReport:
    """The first rule, from the end, that makes a cotangent non-finite which the gradient then is."""
    reaches = {v for v, name in replay.names.items() if name in replay.gradients and not _is_finite(replay.gradients[name])}
    if not reaches:
        return NanReport("")
    found = None
    for record in replay.records:
        eqn = record.eqn
        if eqn not in replay.dxs:
            continue
        broken = [v for v, dx in zip(eqn.invars, replay.dxs[eqn]) if dx is not None and not _is_finite(dx) and v in reaches]
        if broken:
            reaches.update(eqn.outvars)
            if all(dy is None or _is_finite(dy) for dy in replay.dys[eqn]):
                found = record
    if found is None:  # two finite or infinite contributions whose sum is not finite
        return NanReport("backward", "a sum of cotangents", note="cotangents of one value, each finite, overflow when they are added")
    eqn = found.eqn
    dys = {f"cotangent of output {i}" if len(eqn.outvars) > 1 else "cotangent": d for i, d in enumerate(replay.dys[eqn]) if d is not None}
    dxs = {f"its cotangent of input {i}": d for i, d in enumerate(replay.dxs[eqn]) if d is not None}
    note = ""
    if eqn in hidden:
        note = "its forward value is not finite either, and hidden later (by jnp.where?): make its input safe, not its output"
    return _report(replay, "backward", eqn, _inputs(replay, eqn) | dys | dxs, note)


def _report(replay: Replay, direction, eqn, values, note="") -> NanReport:
    place, module = place_of(eqn), replay.where(eqn)
    scope = "" if place.path in (module.removeprefix("after "), "") else place.path
    step = replay.steps[next(i for i, e in enumerate(replay.eqns) if e is eqn)] or None
    return NanReport(direction, function_of(eqn), module, scope, place.line, step, values, note)


def _inputs(replay: Replay, eqn) -> dict[str, Any]:
    names = [replay.names.get(v) if not isinstance(v, Literal) else None for v in eqn.invars]
    return {f"input {i}" + (f", {name}" if name else ""): replay.of(v) for i, (v, name) in enumerate(zip(eqn.invars, names))}


def _given(literal) -> str | None:
    """A number in the program: NaN and infinity were meant."""
    return None if _is_finite(literal.val) else "given"


def _is_finite(x) -> bool:
    return not _is_float(x) or bool(np.all(np.isfinite(np.asarray(x))))


def _has_nan(x) -> bool:
    return _is_float(x) and bool(np.any(np.isnan(np.asarray(x))))


def _is_float(x) -> bool:
    return jnp.issubdtype(jnp.result_type(x), jnp.inexact)


def _shown(x) -> str:
    """A small array whole; of a large one its range and the first place that is not finite."""
    kind = f"{jnp.result_type(x)}{list(jnp.shape(x))}"
    if jnp.issubdtype(jnp.result_type(x), jax.dtypes.prng_key):
        return kind
    x = np.asarray(x)
    if x.size <= 8:
        return f"{kind} {np.array2string(x, separator=', ').replace(chr(10), '')}"
    if not _is_float(x):
        return kind
    bad = np.flatnonzero(~np.isfinite(x).ravel())
    fine = x[np.isfinite(x)].astype(np.float64)
    between = f"from {fine.min():.4g} to {fine.max():.4g}" if fine.size else "nothing finite"
    if not bad.size:
        return f"{kind} {between}"
    at = tuple(int(i) for i in np.unravel_index(bad[0], x.shape))
    return f"{kind} {between}, {bad.size} not finite, the first at {at}: {x[at]}"
