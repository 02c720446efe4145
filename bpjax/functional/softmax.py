"""The softmax family."""

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, refuse


@op(static=("dim", "dtype"))
def softmax(input, dim=None, *, dtype=None):
    """y = exp(x) / Σ exp(x) along `dim`.

    Shapes: any, kept. With `dtype` the input is converted first. Lower precisions are computed in float32.
    Backward: dx = y (dy - Σ y dy), from y, or in 16 bits from x, its maximum m and s = Σ exp(x - m): y = exp(x - m) / s.
    Errors: ValueError where `dim` is not given (PyTorch guesses, and warns) or no axis; TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.softmax(jnp.zeros(4), dim=-1).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    x, axis, dtype = _for_softmax("softmax", input, dim, dtype)
    e = jnp.exp(_below_maximum(x, axis))
    return (e / e.sum(axis, keepdims=True)).astype(dtype)


@softmax.def_forward
def _(input, dim, dtype):
    y = softmax.formula(input, dim, dtype=dtype)
    return y, _kept(input, y, dim)


@softmax.def_backward
def _(saved, dy):
    p, dy = _probabilities(saved, lambda y: y), at_least_float32(dy)
    return ((p * (dy - (p * dy).sum(saved["axis"], keepdims=True))).astype(saved["dtype"]),)


@op(static=("dim", "dtype"))
def log_softmax(input, dim=None, *, dtype=None):
    """y = x - log Σ exp(x) along `dim`.

    Shapes: any, kept. With `dtype` the input is converted first. Lower precisions are computed in float32.
    Backward: dx = dy - exp(y) Σ dy, from y, or in 16 bits from x, its maximum m and s = Σ exp(x - m): exp(y) = exp(x - m) / s.
    Errors: ValueError where `dim` is not given (PyTorch guesses, and warns) or no axis; TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.log_softmax(jnp.zeros(4), dim=-1)[0]), 4)
    -1.3863
    """
    x, axis, dtype = _for_softmax("log_softmax", input, dim, dtype)
    z = _below_maximum(x, axis)
    return (z - jnp.log(jnp.exp(z).sum(axis, keepdims=True))).astype(dtype)


@log_softmax.def_forward
def _(input, dim, dtype):
    y = log_softmax.formula(input, dim, dtype=dtype)
    return y, _kept(input, y, dim)


@log_softmax.def_backward
def _(saved, dy):
    p, dy = _probabilities(saved, jnp.exp), at_least_float32(dy)
    return ((dy - p * dy.sum(saved["axis"], keepdims=True)).astype(saved["dtype"]),)


def softmin(input, dim=None, *, dtype=None):
    """y = exp(-x) / Σ exp(-x) along `dim`: the `softmax` of -x.

    Shapes: any, kept. With `dtype` the input is converted first.
    Backward: that of `softmax`, with the other sign.
    Errors: those of `softmax`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.softmin.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.softmin(jnp.zeros(4), dim=-1).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return softmax(-input, dim, dtype=dtype)


def gumbel_softmax(logits, tau=1.0, hard=False, eps=1e-10, dim=-1, *, rng=None):
    """y = softmax((z + g) / τ) along `dim`, each g drawn from the Gumbel distribution; `hard` gives 1 at the largest and 0 elsewhere.

    Shapes: any, kept. `rng` is JAX's key (PyTorch's is hidden); `eps` is accepted and means nothing, as in PyTorch.
    Backward: that of `softmax`, over τ; also for `hard`, as if the value were the soft one.
    Errors: ValueError without an rng; those of `softmax`.
    Source: https://arxiv.org/abs/1611.01144, https://pytorch.org/docs/stable/generated/torch.nn.functional.gumbel_softmax.html

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> F.gumbel_softmax(jnp.array([0.0, 1e4]), hard=True, rng=jax.random.key(0)).tolist()
    [0.0, 1.0]
    """
    floating("gumbel_softmax", logits=logits)
    refuse("gumbel_softmax", rng is None and "is random and needs rng=, a key such as jax.random.key(0)")
    noise = jax.random.gumbel(rng, logits.shape, jnp.float32)  # in float32, so that every precision sees the same noise
    y = softmax((logits + noise.astype(logits.dtype)) / tau, dim)
    if not hard:
        return y
    largest = jax.nn.one_hot(y.argmax(dim), y.shape[dim], axis=dim, dtype=y.dtype)
    return largest + (y - lax.stop_gradient(y))


def _for_softmax(name, x, dim, dtype):
    """The input in the precision of the computation, the axis, and the dtype of the value; a scalar counts as a vector of one."""
    rank = max(x.ndim, 1)
    is_axis = hasattr(dim, "__index__") and -rank <= dim < rank
    refuse(
        name,
        dim is None and "say along which axis, for example dim=-1",
        dim is not None and not is_axis and f"dim={dim} is no axis of an input of shape {x.shape}",
    )
    x = x if dtype is None else x.astype(dtype)
    floating(name, input=x)
    return at_least_float32(x), dim if x.ndim else None, x.dtype


def _below_maximum(x, axis):
    return x - lax.stop_gradient(x.max(axis, keepdims=True, initial=-jnp.inf))


def _kept(input, y, dim):
    """What the backward needs: y, or where that has 16 bits as many bytes of x, with m and s.

    y rounded to 16 bits is off by up to 0.4 % of itself, which for log y = -7 is 3 % of exp(y), the same for every value.
    """
    axis, saved = dim if input.ndim else None, {"axis": dim if input.ndim else None, "dtype": input.dtype}
    if at_least_float32(y).dtype == y.dtype:
        return {"y": y, **saved}
    x = at_least_float32(input.astype(y.dtype))
    m = x.max(axis, keepdims=True, initial=-jnp.inf)
    return {"x": input.astype(y.dtype), "m": m, "s": jnp.exp(x - m).sum(axis, keepdims=True), **saved}


def _probabilities(saved, of_y):
    """The softmax, of the output or anew of the input."""
    return of_y(saved["y"]) if "y" in saved else jnp.exp(at_least_float32(saved["x"]) - saved["m"]) / saved["s"]
