"""How healthy a training step is: a few numbers for each module, from the same backward sweep, inside `jit`."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import engine
from ..engine import Hook, Rule, Wrapped, checked
from ..program import jaxprs
from ..program.modules import Modules, leaf_name, owner_of
from ..program.straight import inlined
from .names import name_of
from .unruled import Unruled

SKETCH = 8  # sums over so many parts of each parameter's gradient: enough to see whether it keeps its direction

_CUTS_OFF = {"relu", "relu6", "max", "min", "clamp", "clip", "threshold", "hardtanh", "hard_tanh"}  # slope 0 on a side
_FLATTENS = {"sigmoid": 1 / 4, "logistic": 1 / 4, "hardsigmoid": 1 / 6, "tanh": 1.0, "softsign": 1.0, "erf": 2 / math.sqrt(math.pi)}
_FLAT = 0.08  # of its steepest slope: a sigmoid's output beyond 0.98, a tanh's beyond 0.96


@functools.partial(
    jax.tree_util.register_dataclass,
    meta_fields=["modules", "parameters", "sizes", "without_rule"],
    data_fields=[
        "value", "delta", "incoming", "outgoing", "dead", "saturated", "nonfinite_forward", "nonfinite_backward",
        "nonfinite_input", "weight", "gradient", "update", "sketch", "alignment",
    ],
)  # fmt: skip
@dataclasses.dataclass(frozen=True)
class Health:
    """What one step tells of each module. A small pytree; with leading axes where it was stacked by a scan.

    A module is a group of parameters and what is done with its output until the next one takes over (see `bpjax.engine.Modules`). Norms
    are L2; M modules in the order in which values meet them, P parameters.

    Attributes:
        modules, parameters: their paths; sizes: how many numbers each parameter holds.
        value: the loss, ().
        delta: norm of dL/d(output of the module), (M,): what `bpjax.backprop` gives at its path.
        incoming: norm of the delta that arrives at the module from those after it, behind its activation, (M,); of the last one `delta`.
        outgoing: norm of the delta that it passes on to those before it, (M,); 0 where it stands first.
        dead: share of the units behind its ReLUs (and their kin) where the slope is 0 for every example, (M,); NaN without a ReLU.
        saturated: share of the values behind its sigmoids and tanhs where the slope is under 8 % of the steepest, (M,); NaN without one.
        nonfinite_forward: how many NaN and infinities stand in what it hands on, behind its activation, (M,).
        nonfinite_backward: how many stand in its delta, and how many of its gradients hold any, (M,).
        nonfinite_input: how many stand in the arguments that are not differentiated, ().
        weight, gradient, update: norms of each parameter, of its gradient and of its last change, (P,); update is NaN unless given.
        sketch: sums over eight parts of each gradient, (P, 8): the same direction for `noisy gradient` to compare from step to step.
        alignment: cosine of the angle between each parameter's gradient and its last change, (P,): -1 straight down; NaN unless given.
        without_rule: equations on the gradient's path that have no backward rule, with their places; what lies before them is NaN.
    """

    modules: tuple[str, ...]
    parameters: tuple[str, ...]
    sizes: tuple[int, ...]
    value: jax.Array
    delta: jax.Array
    incoming: jax.Array
    outgoing: jax.Array
    dead: jax.Array
    saturated: jax.Array
    nonfinite_forward: jax.Array
    nonfinite_backward: jax.Array
    nonfinite_input: jax.Array
    weight: jax.Array
    gradient: jax.Array
    update: jax.Array
    sketch: jax.Array
    alignment: jax.Array | float = math.nan
    without_rule: tuple[str, ...] = ()

    @property
    def gain(self):
        """outgoing / incoming: how much of a delta the module passes on."""
        return self.outgoing / self.incoming

    def with_updates(self, updates: Any, grads: Any = None) -> "Health":
        """The same with the norms of an optimizer's updates, a tree like the parameters; given the gradients too, with `alignment`."""
        known = {} if grads is None else {"alignment": _cosines(updates, grads)}
        return dataclasses.replace(self, update=_norms(updates), **known)


class Healthy(NamedTuple):
    """What a function under `health` returns."""

    value: Any
    grads: Any
    health: Health
    aux: Any = None


def health(f: Callable, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable:
    """As `bpjax.value_and_grad`, with the health of each module beside the gradient: a function that returns a `Healthy`.

    Where an equation has no backward rule, `without_rule` names it, and the gradients before it are NaN.
    Works inside `jit` and `scan`, on any model whose parameters are a pytree: bpjax, Equinox, Flax NNX, plain dicts.

    Args:
        f: a function whose value is a floating scalar; with `has_aux`, a pair of that and anything.
        argnums: the argument or arguments that hold the parameters.

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import inspect
    >>> params = {"fc1": {"w": jnp.ones((2, 4))}, "fc2": {"w": jnp.ones(4)}}
    >>> def loss(params, x):
    ...     return jnp.sum(jax.nn.relu(x @ params["fc1"]["w"]) @ params["fc2"]["w"])
    >>> health = inspect.health(loss)(params, jnp.array([[2.0, 1.0]])).health
    >>> health.modules, health.incoming.tolist(), health.outgoing.tolist(), health.dead.tolist()
    (('fc1', 'fc2'), [2.0, 1.0], [0.0, 2.0], [0.0, nan])
    """
    argnums = engine.argument_numbers(f, argnums)

    @functools.wraps(f)
    def inspected(*args, **kwargs):
        numbers = engine.chosen_arguments(argnums, args)
        params = [args[n] for n in numbers]
        others = [arg for n, arg in enumerate(args) if n not in numbers]
        unruled = Unruled()
        probe = _Probe([(leaf_name(path, numbers), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(params)])
        value, aux, grads, findings = engine.gradient(f, args, kwargs, argnums, has_aux, [probe, unruled])
        found = probe.health(findings, value, params, grads, (others, kwargs))
        return Healthy(value, grads, dataclasses.replace(found, without_rule=tuple(unruled.met)), aux)

    return inspected


class _Probe(Hook):
    """Names the places of a program, looks at the deltas that pass there, and adds up."""

    def __init__(self, parameters: Sequence[tuple[str, Any]]):
        self.parameters = [name for name, _ in parameters]
        self.every_shape = [jnp.shape(leaf) for _, leaf in parameters]
        self.shapes: dict[str, list] = {}
        for name, shape in zip(self.parameters, self.every_shape):
            self.shapes.setdefault(owner_of(name), []).append(shape)

    def prepare(self, prog, owners):
        self.modules = Modules(inlined(prog), owners)
        marked, self.places = self.modules.with_borders()
        self.handing_on = {place.module for place in self.places.values() if place.kind == "exit"}
        self.counted = {
            name for name, place in self.places.items() if place.kind == ("exit" if place.module in self.handing_on else "output")
        }
        return marked

    def replace(self, eqn, rule: Rule) -> Rule:
        return _Counted(rule) if self._place(eqn) and eqn.params["name"] in self.counted else rule

    def _place(self, eqn):
        return self.places.get(eqn.params["name"]) if eqn.primitive.name == "name" else None

    def observe(self, record, dys, dxs) -> dict | None:
        place = self._place(record.eqn)
        if place:
            norm, bad = _norm_and_nonfinite(dys[0])
            seen = {"norm": norm}
            if record.eqn.params["name"] in self.counted:
                seen["forward"] = record.saved[1]
            if place.kind == "output":
                seen["backward"] = bad
            return seen
        return self._activation(record, dys[0])

    def _activation(self, record, dy) -> dict | None:
        """Of an activation: its units with slope 0 everywhere, its values where it is flat. The slope: what its rule makes of ones."""
        name = name_of(record.eqn, record.rule)
        if sum(record.active) != 1 or name not in _CUTS_OFF and name not in _FLATTENS:
            return None
        home = self.home(record.eqn)
        if home is None or dy is None or not dy.ndim:
            return None
        slope = checked(record, record.rule.backward(record, [jnp.ones_like(dy)]))[record.active.index(True)]
        if slope is None or slope.shape != dy.shape:
            return None
        if name in _CUTS_OFF:
            others = tuple(i for i in range(dy.ndim) if i != _unit_axis(dy.shape, self.shapes.get(home, []))) if dy.ndim > 1 else ()
            dead = (slope == 0).all(others)
            return {"dead": jnp.sum(dead, dtype=jnp.float32), "units": jnp.float32(dead.size)}
        flat = jnp.abs(slope) < _FLAT * _FLATTENS[name]
        return {"flat": jnp.sum(flat, dtype=jnp.float32), "values": jnp.float32(flat.size)}

    def home(self, eqn) -> str | None:
        """The module behind whose parameters the equation stands."""
        value = self.modules.values.get(eqn.outvars[0])
        return value.home if value and value.home in self.modules.depths else None

    def health(self, findings, value, params, grads, others) -> Health:
        """Everything that was seen, added up by module."""
        order = self.modules.order
        sums: dict[str, dict[str, list]] = {module: {kind: [] for kind in _SUMS} for module in order}
        for finding in findings:
            place = self._place(finding.record.eqn)
            for kind, part in finding.value.items():
                seen = sums[place.module if place else self.home(finding.record.eqn)]
                seen[f"{place.kind} {kind}" if place else kind].append(part)

        def column(kind):
            total = _norm_of_all if kind.endswith("norm") else _sum_of_all
            return _stacked([total(sums[m][kind]) for m in order])

        gradient = _norms(grads)
        number = {module: i for i, module in enumerate(order)}
        owner = np.array([number.get(owner_of(name), len(order)) for name in self.parameters], int)
        bad = jnp.zeros(len(order) + 1).at[owner].add(jnp.where(jnp.isfinite(gradient), 0.0, 1.0))[: len(order)]
        delta = column("output norm")
        leaves = [x for x in jax.tree.leaves(others) if jaxprs.is_inexact(x)]
        return Health(
            modules=tuple(order),
            parameters=tuple(self.parameters),
            sizes=tuple(math.prod(shape) for shape in self.every_shape),
            value=_wide(jnp.asarray(value)),
            delta=delta,
            incoming=jnp.where(jnp.array([m in self.handing_on for m in order], bool), column("exit norm"), delta),
            outgoing=column("entry norm"),
            dead=column("dead") / column("units"),
            saturated=column("flat") / column("values"),
            nonfinite_forward=column("output forward") + column("exit forward"),
            nonfinite_backward=column("output backward") + bad,
            nonfinite_input=sum((_nonfinite(x, jnp.sum(_wide(x))) for x in leaves), jnp.zeros(())),
            weight=_norms(params),
            gradient=gradient,
            update=jnp.full(len(self.parameters), jnp.nan),
            sketch=_sketches(grads),
            alignment=jnp.full(len(self.parameters), jnp.nan),
        )


_SUMS = (
    "output norm", "output forward", "output backward", "entry norm", "exit norm", "exit forward", "dead", "units", "flat", "values",
)  # fmt: skip


class _Counted(Wrapped):
    """The equation that names what a module hands on; on the way it counts what is not finite there."""

    def forward(self, eqn, values, active):
        outputs, saved = self.rule.forward(eqn, values, active)
        return outputs, (saved, _nonfinite(values[0], jnp.sum(_wide(values[0]))))

    def residuals(self, eqn, values, outputs, active, saved):
        return self.rule.residuals(eqn, values, outputs, active, saved[0]), saved[1]

    def backward(self, record, dys):
        return dys


def _wide(x) -> jax.Array:
    """In float32, or in its own type where that holds more."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _alike(numbers: Sequence[Any]) -> list[jax.Array]:
    """In one type, the widest; on an explicit mesh on every device."""
    widest = jnp.result_type(jnp.float32, *{jnp.result_type(x) for x in numbers})
    return [jaxprs.on_every_device(jnp.asarray(x, widest)) for x in numbers]


def _stacked(numbers: Sequence[Any]) -> jax.Array:
    return jnp.stack(_alike(numbers)) if len(numbers) else jnp.zeros(0)


@jax.jit  # traced once for all modules of one shape
def _norm_and_nonfinite(x) -> tuple[jax.Array, jax.Array]:
    """The L2 norm, and how many are not finite; where the squares tell it, nothing else is computed."""
    squared = _squared(x)
    return lax.cond(_is_held(squared), lambda: (jnp.sqrt(squared), jnp.float32(0)), lambda: (_scaled_norm(x), _count(x)))


def _squared(x) -> jax.Array:
    return jnp.sum(jnp.square(_wide(x)))


def _is_held(squared):
    """Whether a sum of squares has neither overflowed nor lost its small terms."""
    limits = jnp.finfo(jnp.float32)
    return (squared > limits.tiny / limits.eps) & (squared <= limits.max)


def _scaled_norm(x) -> jax.Array:
    """The L2 norm of x over its largest, times that: without overflow and underflow."""
    x = _wide(x)
    largest = jnp.max(jnp.abs(x), initial=0)
    can_divide = (largest > 0) & jnp.isfinite(largest)
    unit = jnp.where(can_divide, largest, 1)
    return jnp.where(can_divide, unit * jnp.sqrt(jnp.sum(jnp.square(x / unit))), largest)


def _norm_of_all(parts: Sequence[Any]) -> jax.Array:
    """Of norms that were met one after the other, each stacked over the steps of a scan, the norm of all."""
    if len(parts) == 1 and not parts[0].ndim:
        return parts[0]
    return _scaled_norm(jnp.concatenate([part.ravel() for part in _alike(parts)])) if parts else jnp.zeros(())


def _sum_of_all(parts: Sequence[Any]) -> jax.Array:
    return sum((jnp.sum(part) for part in parts), jnp.zeros(()))


@jax.jit
def _nonfinite(x, total) -> jax.Array:
    """How many are not finite; counted only where a sum over all, which costs less, is not."""
    return lax.cond(jnp.isfinite(total), lambda: jnp.float32(0), lambda: _count(x))


def _count(x) -> jax.Array:
    return jnp.sum(~jnp.isfinite(x), dtype=jnp.float32)


def _norms(tree) -> jax.Array:
    leaves = jax.tree.leaves(tree)
    squared = _stacked([_squared(leaf) for leaf in leaves])
    return lax.cond(jnp.all(_is_held(squared)), lambda: jnp.sqrt(squared), lambda: _stacked([_scaled_norm(x) for x in leaves]))


def _cosines(tree, other) -> jax.Array:
    """Of the angles between the leaves of two trees; NaN where one is zero."""

    @jax.jit
    def cosine(x, y, norm_x, norm_y):
        return jnp.sum(_wide(x) / norm_x * (_wide(y) / norm_y))

    return _stacked(list(map(cosine, jax.tree.leaves(tree), jax.tree.leaves(other), _norms(tree), _norms(other))))


def _sketches(tree) -> jax.Array:
    @jax.jit
    def parts(leaf):
        flat = _wide(leaf).ravel()
        return jnp.pad(flat, (0, -flat.size % SKETCH)).reshape(SKETCH, -1).sum(1)

    leaves = jax.tree.leaves(tree)
    return jnp.stack(_alike(list(map(parts, leaves)))) if leaves else jnp.zeros((0, SKETCH))


def _unit_axis(shape: Sequence[int], weights: Sequence[Sequence[int]]) -> int:
    """Along which axis a module's units lie: the second behind a convolution with channels first, else the last."""
    is_convolution = len(shape) > 2 and any(len(w) == len(shape) and w[0] == shape[1] for w in weights)
    return 1 if is_convolution else len(shape) - 1
