"""Backwards that are not the gradient, for one call of `bpjax.grad` and its kin; the forward stays as it is.

What replaces the backward of equations is a dict for `rules=`; dicts are put together with `|`. What is done to a delta is a function,
to stand under a place's name in `at=`. Direct feedback alignment ties places together, and is a whole dict for `at=`.

>>> import jax.numpy as jnp, bpjax
>>> from bpjax.inspect import rules
>>> f = lambda x: jnp.sum(bpjax.tag(jnp.round(x), "rounded") ** 2)
>>> bpjax.grad(f, rules=rules.straight_through("round"), at={"rounded": rules.clip_value(3.0)})(jnp.array([0.9, 2.2])).tolist()
[2.0, 3.0]
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ..engine import Op

__all__ = [
    "clip_norm",
    "clip_value",
    "deconvolution",
    "direct_feedback_alignment",
    "feedback_alignment",
    "guided_backpropagation",
    "reverse_gradient",
    "scale",
    "straight_through",
    "surrogate_gradient",
]

_uniform = jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform", in_axis=-1, out_axis=-2)  # U(±1/√in) of (out, in), as nn.Linear


# ---- what a unit is looking at ----


def guided_backpropagation(*names: str | Op) -> dict:
    """For `rules=`: guided back-propagation. Only what is positive goes back, and only through units that were on.

    Names: the activations, "relu" if none is given; it means `F.relu`, `jax.nn.relu` and `nnx.relu` alike.
    Backward: dx = [x > 0] max(dy, 0); of another activation f, dx = f'(x) max(dy, 0).
    Errors: none.
    Source: Springenberg et al. 2014, https://arxiv.org/abs/1412.6806

    >>> import jax.numpy as jnp, bpjax, bpjax.functional as F
    >>> f = lambda x: F.relu(x) @ jnp.array([1.0, 1.0, -1.0])
    >>> bpjax.grad(f, rules=guided_backpropagation())(jnp.array([2.0, -2.0, 2.0])).tolist()
    [1.0, 0.0, 0.0]
    """
    return dict.fromkeys(names or ["relu"], lambda eq, dy: eq.original(jnp.maximum(dy, 0)))


def deconvolution(*names: str | Op) -> dict:
    """For `rules=`: the backward of a deconvolutional network. Only what is positive goes back, whether the unit was on or not.

    Names: the activations, "relu" if none is given; it means `F.relu`, `jax.nn.relu` and `nnx.relu` alike.
    Backward: dx = max(dy, 0).
    Errors: none.
    Source: Zeiler & Fergus 2013, https://arxiv.org/abs/1311.2901

    >>> import jax.numpy as jnp, bpjax, bpjax.functional as F
    >>> f = lambda x: F.relu(x) @ jnp.array([1.0, 1.0, -1.0])
    >>> bpjax.grad(f, rules=deconvolution())(jnp.array([2.0, -2.0, 2.0])).tolist()
    [1.0, 1.0, 0.0]
    """
    return dict.fromkeys(names or ["relu"], lambda eq, dy: jnp.maximum(dy, 0))


# ---- learning without the weights' transposes ----


def feedback_alignment(key, *names: str | Op, weight: int = 1, init: Callable = _uniform) -> dict:
    """For `rules=`: feedback alignment. The delta goes back through a fixed random matrix B in place of the weight W.

    Names: the linear maps, "linear" if none is given (`F.linear`). Input number `weight` of each is its W: 1 of "linear" and of the
    "dot_general" of a Flax layer, 0 of the "dot_general" of an Equinox layer under vmap. Every equation of that name is meant.
    Shapes: B has that of W, and is `init(key, shape, dtype)`, the key folded with the equation's number: the same at each step. Left out,
    U(±1/√in) for a W (out, in), as that of `nn.Linear` at first; for other layouts give the layer's own, one of `jax.nn.initializers`.
    Backward: dx = dy B;  dW = dyᵀ x and db = Σ dy as ever.
    Errors: TypeError where `key` is no key, ValueError where an equation has no input of number `weight`.
    Source: Lillicrap et al. 2014, https://arxiv.org/abs/1411.0247

    >>> import jax, jax.numpy as jnp, bpjax, bpjax.functional as F
    >>> dx = bpjax.grad(lambda x, W: F.linear(x, W).sum(), rules=feedback_alignment(jax.random.key(0)))
    >>> bool(jnp.all(dx(jnp.ones(2), jnp.eye(2)) == dx(jnp.ones(2), 5 * jnp.eye(2))))
    True
    """
    _check_key("feedback_alignment", key)

    def backward(eq, dy):
        if weight not in range(len(eq.x)):
            raise ValueError(f"feedback_alignment: weight={weight}, but the equation{eq.where()} has {len(eq.x)} inputs, counted from 0")
        W = eq.x[weight]
        B = init(jax.random.fold_in(key, eq.number), W.shape, W.dtype)
        dxs = eq.original(dy, x=[*eq.x[:weight], B, *eq.x[weight + 1 :]])
        dxs[weight] = eq.original(dy)[weight]
        return dxs

    return dict.fromkeys(names or ["linear"], backward)


def direct_feedback_alignment(key, output: str, hidden: Sequence[str], *, init: Callable = _uniform) -> dict:
    """For `at=`: direct feedback alignment. Each hidden place gets the output's delta e, through a fixed random matrix B of its own.

    Places: in the paper `hidden` are the outputs of the activations; at a place before one, f' does not enter. Each is met once.
    Shapes: e (*, out), the hidden delta (*, n), B (out, n). B is drawn as the weight of a linear map from n to out would be, by
    `init(key, shape, dtype)`: left out, U(±1/√n). The key is folded with the number of the place in `hidden`.
    Backward: δ = e B.
    Errors: TypeError where `key` is no key; ValueError where `hidden` is not some places other than the output, where one is met
    without an output's delta before it on the way back, or where the leading axes differ.
    Source: Nøkland 2016, https://arxiv.org/abs/1609.01596

    >>> import jax, jax.numpy as jnp, bpjax
    >>> f = lambda w: jnp.sum(bpjax.tag(bpjax.tag(jnp.tanh(w), "hidden") @ jnp.ones((2, 3)), "output"))
    >>> alignment = direct_feedback_alignment(jax.random.key(0), "output", ["hidden"], init=jax.nn.initializers.ones)
    >>> bpjax.grad(f, at=alignment)(jnp.zeros(2)).tolist()
    [3.0, 3.0]
    """
    _check_key("direct_feedback_alignment", key)
    if isinstance(hidden, str) or not hidden or output in hidden:
        raise ValueError(f"direct_feedback_alignment: hidden must list places other than the output {output!r}, got {hidden!r}")
    waiting: dict[str, Any] = {}  # e, for each hidden place that the sweep has yet to meet: after the last one nothing is held

    def note(e):
        waiting.update(dict.fromkeys(hidden, e))
        return e

    def aligned(number, place):
        def replace(delta):
            if place not in waiting:
                what = f"direct_feedback_alignment: {place!r} is met with no delta of the output {output!r} noted for it"
                raise ValueError(f"{what}. The output must come after it in the forward pass, and a hidden place be met once.")
            e = waiting.pop(place)
            if e.shape[:-1] != delta.shape[:-1]:
                raise ValueError(f"direct_feedback_alignment: {place!r} has shape {delta.shape}, {output!r} {e.shape}: leading axes differ")
            B = init(jax.random.fold_in(key, number), (e.shape[-1], delta.shape[-1]), e.dtype)
            return (e @ B).astype(delta.dtype)

        return replace

    return {output: note} | {place: aligned(number, place) for number, place in enumerate(hidden)}


# ---- through steps ----


def straight_through(name: str | Op, *names: str | Op) -> dict:
    """For `rules=`: the straight-through estimator. A step counts as the identity on the way back.

    Names: of primitives ("round", "sign", "floor"), or of functions of yours under `jax.jit`, with one differentiated input.
    Shapes: the output's is the input's.
    Backward: dx = dy.
    Errors: those of a rule that does not fit its equation.
    Source: Bengio et al. 2013, https://arxiv.org/abs/1308.3432

    >>> import jax.numpy as jnp, bpjax
    >>> float(bpjax.grad(lambda x: 3 * jnp.sign(x), rules=straight_through("sign"))(0.5))
    3.0
    """
    return dict.fromkeys([name, *names], lambda eq, dy: dy)


def surrogate_gradient(name: str | Op, *names: str | Op, beta: float = 10.0) -> dict:
    """For `rules=`: the surrogate gradient of spiking units. A step at 0 counts as a fast sigmoid on the way back.

    Names: of your step functions under `jax.jit`, with one differentiated input x, the membrane's potential less its threshold.
    Shapes: the output's is the input's.
    Backward: dx = dy / (1 + β |x|)².
    Errors: ValueError for a negative β.
    Source: Neftci et al. 2019, https://arxiv.org/abs/1901.09948; the fast sigmoid: Zenke & Ganguli 2018, https://arxiv.org/abs/1705.11146

    >>> import jax, jax.numpy as jnp, bpjax
    >>> @jax.jit
    ... def spike(x):
    ...     return (x > 0).astype(x.dtype)
    >>> float(bpjax.grad(spike, rules=surrogate_gradient("spike", beta=1.0))(-1.0))
    0.25
    """
    _demand(beta >= 0, f"surrogate_gradient: β must not be negative, got {beta}")

    def backward(eq, dy):
        x = eq.x[eq.active.index(True)]
        return (dy / (1 + beta * jnp.abs(x)) ** 2).astype(x.dtype)

    return dict.fromkeys([name, *names], backward)


# ---- the delta at a place ----


def clip_norm(c: float) -> Callable:
    """For a place in `at=`: the delta with its norm clipped.

    Shapes: any, kept. The norm is that of the whole delta, of all examples of a batch together.
    Backward: δ c / max(‖δ‖, c).
    Errors: ValueError where c is not positive.
    Source: Pascanu et al. 2012, https://arxiv.org/abs/1211.5063

    >>> import jax.numpy as jnp, bpjax
    >>> f = lambda x: bpjax.tag(x, "here") @ jnp.array([3.0, 4.0])
    >>> bpjax.grad(f, at={"here": clip_norm(2.5)})(jnp.zeros(2)).tolist()
    [1.5, 2.0]
    """
    _demand(c > 0, f"clip_norm: c must be positive, got {c}")

    def clipped(delta):
        norm = jnp.linalg.norm(delta.astype(jnp.promote_types(delta.dtype, jnp.float32)))  # squares overflow in half precision
        return delta * (c / jnp.maximum(norm, c)).astype(delta.dtype)

    return clipped


def clip_value(c: float) -> Callable:
    """For a place in `at=`: the delta with each of its values clipped.

    Shapes: any, kept.
    Backward: min(max(δ, -c), c).
    Errors: ValueError where c is not positive.
    Source: Graves 2013, https://arxiv.org/abs/1308.0850

    >>> import jax.numpy as jnp, bpjax
    >>> f = lambda x: bpjax.tag(x, "here") @ jnp.array([0.5, -4.0])
    >>> bpjax.grad(f, at={"here": clip_value(1.0)})(jnp.zeros(2)).tolist()
    [0.5, -1.0]
    """
    _demand(c > 0, f"clip_value: c must be positive, got {c}")
    return lambda delta: jnp.clip(delta, -c, c).astype(delta.dtype)


def scale(factor: float) -> Callable:
    """For a place in `at=`: the delta times a number, which may be traced.

    Shapes: any, kept.
    Backward: factor δ.
    Errors: none.
    Source: the λ of Ganin & Lempitsky 2015, https://arxiv.org/abs/1409.7495, without its sign.

    >>> import bpjax
    >>> float(bpjax.grad(lambda x: bpjax.tag(x, "here") * 3, at={"here": scale(0.5)})(1.0))
    1.5
    """
    return lambda delta: delta * jnp.asarray(factor, delta.dtype)


def reverse_gradient(lam: float = 1.0) -> Callable:
    """For a place in `at=`: gradient reversal. What lies before the place works against what comes after it.

    Shapes: any, kept. λ, `lam`, may be traced: the paper lets it grow from 0 to 1.
    Backward: -λ δ.
    Errors: ValueError for a negative λ.
    Source: Ganin & Lempitsky 2015, https://arxiv.org/abs/1409.7495

    >>> import bpjax
    >>> float(bpjax.grad(lambda x: bpjax.tag(x, "domain") * 3, at={"domain": reverse_gradient(0.5)})(1.0))
    -1.5
    """
    _demand(lam >= 0, f"reverse_gradient: λ must not be negative, got {lam}")
    return scale(-lam)


def _check_key(who, key):
    dtype = getattr(key, "dtype", None)
    if dtype is None or not (jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32):
        raise TypeError(f"{who}: key must be one such as jax.random.key(0), got a {type(key).__name__}")


def _demand(condition, otherwise: str) -> None:
    """Raise unless the condition holds or is not known yet, of a traced value."""
    if not isinstance(condition, jax.core.Tracer) and not condition:
        raise ValueError(otherwise)
