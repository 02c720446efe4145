"""`find_nan`: in which equation the first NaN or infinity appears, forward or backward, and what went in."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..program.jaxprs import Literal
from ..program.places import place_of
from .names import function_of
from .replay import Replay


class NanReport(NamedTuple):
    """Where the first non-finite value appears. False in a condition if there is none; `str` tells it in a few lines.

    Attributes:
        direction: "forward", "backward", "input" (an argument, or data closed over, holds NaN or an infinity), or "" where all is finite.
        equation: the op, function or primitive; of an input its name.
        module: the module of that equation; "after fc2" for what follows its parameters.
        scope: the named scopes in which it stands, if they say something else.
        line: file:line of the code that called it; of an input of the code that first uses it.
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
            has_nan = any(map(_has_nan, self.values.values()))
            head = f"{self.equation} holds {'NaN' if has_nan else 'an infinity'} before the function begins"
            head += f"; it is used at {self.line}" if self.line else ""
        else:
            head = f"the first non-finite value appears in the {self.place}"
        return "\n".join([head, self._values(), *([f"  note: {self.note}"] if self.note else [])])

    @property
    def place(self) -> str:
        """The equation, its module, line and step in words."""
        at = f' in module "{self.module}"' if self.module else ""
        scope = f" (scope {self.scope})" if self.scope else ""
        step = f", scan step {', '.join(map(str, self.step))}" if self.step else ""
        line = f", {self.line}" if self.line else ""
        return f"{self.direction} pass of {self.equation}{at}{scope}{line}{step}"

    def _values(self):
        return "\n".join(f"  {name} = {_shown(x)}" for name, x in self.values.items())


def find_nan(f: Callable, *args, argnums: int | Sequence[int] = 0, has_aux: bool = False, **kwargs) -> NanReport:
    """The equation in which the first NaN or infinity that reaches the value or the gradient of `f` appears.

    The function is run equation by equation, also inside `jit`, scans, branches and checkpoints; where its value is finite, so is its
    backward pass, by the rules that `bpjax.grad` uses. An infinity that came in, or that the program itself writes (a mask of -inf), is
    not reported where it stays without effect. Where it spoils the value or the gradient, the argument that it came in by is named, with
    the first equation that it spoils in the note. Where the gradient meets an equation that has no backward rule before any NaN, that
    equation is reported, and the note says so.

    Args:
        f: any function that `bpjax.grad` takes; its value need not be a scalar.
        args, kwargs: its arguments; argnums: those that are differentiated; has_aux: whether `f` returns `(value, aux)`.

    >>> import jax.numpy as jnp, bpjax
    >>> report = bpjax.find_nan(lambda x: jnp.sum(jnp.sqrt(x)), jnp.array([0.0, 1.0]))
    >>> report.direction, report.equation
    ('backward', 'sqrt')
    """
    replay = Replay(f, args, kwargs, argnums, has_aux)
    spread = _spread(replay)
    found = _forward(replay, spread)
    if found is not None:
        return found
    replay.back()
    return _backward(replay, spread)


class _Spread(NamedTuple):
    """How what is not finite spreads through the forward pass.

    `state`: of variables that are not finite "given" (an infinity that came in, or that the program itself writes) or "bad"; `made_by`:
    of each variable its equation, by number; `events`: the numbers of equations that make something "bad" of what is not.
    """

    state: dict[Any, str]
    made_by: dict[Any, int]
    events: set[int]


def _spread(replay: Replay) -> _Spread:
    state: dict[Any, str] = {}
    made_by: dict[Any, int] = {}
    events: set[int] = set()
    for v, x in zip(replay.invars, replay.inputs):
        if not _is_finite(x):
            state[v] = "bad" if _has_nan(x) else "given"
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
    return _Spread(state, made_by, events)


def _behind(replay: Replay, spread: _Spread, variables, state: str) -> set:
    """These variables and those that they have it from, as far as they are in this state."""
    reached: set = set()
    front = [v for v in variables if not isinstance(v, Literal) and spread.state.get(v) == state]
    while front:
        v = front.pop()
        if v in reached:
            continue
        reached.add(v)
        i = spread.made_by.get(v)
        if i is not None and not (state == "bad" and i in spread.events):
            front += [u for u in replay.eqns[i].invars if not isinstance(u, Literal) and spread.state.get(u) == state]
    return reached


def _forward(replay: Replay, spread: _Spread) -> NanReport | None:
    """The first event of which the value is not finite, or the argument whose infinity it is."""
    outputs = replay.program.outvars
    reached = _behind(replay, spread, outputs, "bad")
    if sources := [v for v in replay.invars if v in reached]:
        return _input(replay, sources[0])
    first = min((spread.made_by[v] for v in reached if spread.made_by.get(v) in spread.events), default=None)
    if first is not None:
        eqn = replay.eqns[first]
        report = _report(replay, "forward", eqn, _inputs(replay, eqn) | _outputs(replay, eqn))
        return _came_in(replay, spread, eqn, report) or report
    infinite = _behind(replay, spread, outputs, "given")
    if sources := [v for v in replay.invars if v in infinite]:
        return _input(replay, sources[0], "the value of the function is not finite already")
    writing = [
        spread.made_by[v] for v in infinite if any(isinstance(u, Literal) and _given(u) for u in replay.eqns[spread.made_by[v]].invars)
    ]
    if writing:
        eqn = replay.eqns[min(writing)]
        return _report(replay, "forward", eqn, _inputs(replay, eqn) | _outputs(replay, eqn), "the program itself writes this infinity")
    return None


def _came_in(replay: Replay, spread: _Spread, eqn, report: NanReport) -> NanReport | None:
    """Where an equation makes NaN of an infinity that came in: that argument; `report` is of the equation."""
    infinite = _behind(replay, spread, eqn.invars, "given")
    sources = [v for v in replay.invars if v in infinite]
    return _input(replay, sources[0], f"first spoilt by it: the {report.place}") if sources else None


def _input(replay: Replay, v, note="") -> NanReport:
    """An argument that holds what is not finite."""
    name, x = replay.names[v], np.asarray(replay.of(v))
    at = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0]) if x.ndim else ()
    where = f"the first is {x[at]}" + (f" at {at}" if x.ndim else "")
    user = next((eqn for eqn in replay.eqns if v in eqn.invars), None)
    line = place_of(user).line if user else ""
    return NanReport("input", name, line=line, values={name: replay.of(v)}, note="; ".join(filter(None, [where, note])))


def _backward(replay: Replay, spread: _Spread) -> NanReport:
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
    if eqn in replay.unruled.errors:
        return _report(replay, "backward", eqn, _inputs(replay, eqn) | dys, f"nothing is known behind it: {replay.unruled.errors[eqn]}")
    dxs = {f"its cotangent of input {i}": d for i, d in enumerate(replay.dxs[eqn]) if d is not None}
    note = ""
    if any(spread.made_by[v] in spread.events for v in eqn.outvars):
        note = "its forward value is not finite either, and hidden later (by jnp.where?): make its input safe, not its output"
    report = _report(replay, "backward", eqn, _inputs(replay, eqn) | dys | dxs, note)
    return _came_in(replay, spread, eqn, report) or report


def _report(replay: Replay, direction, eqn, values, note="") -> NanReport:
    place, module = place_of(eqn), replay.where(eqn)
    scope = "" if place.path in (module.removeprefix("after "), "") else place.path
    step = replay.steps[next(i for i, e in enumerate(replay.eqns) if e is eqn)] or None
    return NanReport(direction, function_of(eqn), module, scope, place.line, step, values, note)


def _inputs(replay: Replay, eqn) -> dict[str, Any]:
    names = [replay.names.get(v) if not isinstance(v, Literal) else None for v in eqn.invars]
    return {f"input {i}" + (f", {name}" if name else ""): replay.of(v) for i, (v, name) in enumerate(zip(eqn.invars, names))}


def _outputs(replay: Replay, eqn) -> dict[str, Any]:
    return {f"output {i}" if len(eqn.outvars) > 1 else "output": replay.values[v] for i, v in enumerate(eqn.outvars)}


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
    fine = x[np.isfinite(x)]
    fine = np.abs(fine) if np.iscomplexobj(x) else fine.astype(np.float64)
    between = (
        ("of magnitudes " if np.iscomplexobj(x) else "") + f"from {fine.min():.4g} to {fine.max():.4g}" if fine.size else "nothing finite"
    )
    if not bad.size:
        return f"{kind} {between}"
    at = tuple(int(i) for i in np.unravel_index(bad[0], x.shape))
    return f"{kind} {between}, {bad.size} not finite, the first at {at}: {x[at]}"
