"""Activations: elementwise functions and the softmax family."""

import math

import jax.numpy as jnp
from jax import lax

from ..engine import op
from .masks import pack, unpack


@op
def sigmoid(input):
    """y = 1 / (1 + exp(-x)).

    Shapes: any, kept.
    Backward: dx = y (1 - y) dy.
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.sigmoid.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.sigmoid(jnp.array(0.0)))
    0.5
    """
    return lax.logistic(input)


@sigmoid.def_forward
def _(input):
    y = lax.logistic(input)
    return y, {"y": y}


@sigmoid.def_backward
def _(saved, dy):
    y = saved["y"]
    return (y * (1 - y) * dy,)


@op
def tanh(input):
    """y = tanh(x).

    Shapes: any, kept.
    Backward: dx = (1 - y²) dy.
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.tanh.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.tanh(jnp.array(0.0)))
    0.0
    """
    return jnp.tanh(input)


@tanh.def_forward
def _(input):
    y = jnp.tanh(input)
    return y, {"y": y}


@tanh.def_backward
def _(saved, dy):
    y = saved["y"]
    return ((1 - y) * (1 + y) * dy,)


@op(static=("inplace",))
def relu(input, inplace=False):
    """y = max(x, 0), with derivative 0 at 0.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where x > 0, else 0; the mask is kept 8 to the byte.
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.relu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.relu(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return jnp.where(input <= 0, 0, input)  # NaN stays NaN


@relu.def_forward
def _(input, inplace):
    return relu.formula(input), {"off": pack(input <= 0)}


@relu.def_backward
def _(saved, dy):
    return (jnp.where(unpack(saved["off"], dy.shape), 0, dy),)


@op(static=("negative_slope", "inplace"))
def leaky_relu(input, negative_slope=0.01, inplace=False):
    """y = x where x > 0, else a x, a being negative_slope; derivative a at 0.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where x > 0, else a dy; the mask is kept 8 to the byte.
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.leaky_relu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.leaky_relu(jnp.array([-1.0, 2.0]), 0.5).tolist()
    [-0.5, 2.0]
    """
    return jnp.where(input > 0, input, negative_slope * input)


@leaky_relu.def_forward
def _(input, negative_slope, inplace):
    return leaky_relu.formula(input, negative_slope), {"on": pack(input > 0), "a": negative_slope}


@leaky_relu.def_backward
def _(saved, dy):
    return (jnp.where(unpack(saved["on"], dy.shape), dy, saved["a"] * dy),)


@op(static=("alpha", "inplace"))
def elu(input, alpha=1.0, inplace=False):
    """y = x where x > 0, else α (exp(x) - 1); derivative α at 0.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = dy where y > 0, else (y + α) dy.
    Errors: ValueError for a negative α (the sign of y would not tell the sides apart).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.elu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.elu(jnp.array([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    if alpha < 0:
        raise ValueError(f"elu: alpha must not be negative, got {alpha}")
    return jnp.where(input > 0, input, alpha * jnp.expm1(jnp.where(input > 0, 0, input)))


@elu.def_forward
def _(input, alpha, inplace):
    y = elu.formula(input, alpha)
    return y, {"y": y, "alpha": alpha}


@elu.def_backward
def _(saved, dy):
    y = saved["y"]
    return (jnp.where(y > 0, dy, (y + saved["alpha"]) * dy),)


_SQRT_HALF = math.sqrt(0.5)
_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_1_OVER_SQRT_2PI = 1 / math.sqrt(2 * math.pi)
_CUBIC = 0.044715


@op(static=("approximate",))
def gelu(input, approximate="none"):
    """y = x Φ(x), Φ the normal distribution function; with approximate="tanh", Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.

    Shapes: any, kept.
    Backward: dx = (Φ(x) + x φ(x)) dy, φ = Φ' the density; with "tanh", φ is the derivative of the approximation. Only x is kept, and the
    derivative recomputed from it, behind a barrier: without it XLA would merge the recomputation with the forward and keep more.
    Errors: ValueError for another `approximate`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.gelu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.gelu(jnp.array(0.0)))
    0.0
    """
    if approximate == "none":
        return input * 0.5 * (1 + lax.erf(input * _SQRT_HALF))
    if approximate == "tanh":
        return input * 0.5 * (1 + jnp.tanh(_SQRT_2_OVER_PI * (input + _CUBIC * input * input * input)))
    raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")


@gelu.def_forward
def _(input, approximate):
    return gelu.formula(input, approximate), {"x": input, "approximate": approximate}


@gelu.def_backward
def _(saved, dy):
    x, dy = lax.optimization_barrier((saved["x"], dy))
    if saved["approximate"] == "none":
        Phi = 0.5 * (1 + lax.erf(x * _SQRT_HALF))
        phi = jnp.exp(-0.5 * x * x) * _1_OVER_SQRT_2PI
    else:
        t = jnp.tanh(_SQRT_2_OVER_PI * (x + _CUBIC * x * x * x))
        Phi = 0.5 * (1 + t)
        phi = 0.5 * (1 - t) * (1 + t) * _SQRT_2_OVER_PI * (1 + 3 * _CUBIC * x * x)
    return ((Phi + x * phi) * dy,)


@op(static=("inplace",))
def silu(input, inplace=False):
    """y = x σ(x), σ the sigmoid.

    Shapes: any, kept. `inplace` is accepted and means nothing here.
    Backward: dx = σ(x) (1 + x (1 - σ(x))) dy, recomputed from x behind a barrier (see `gelu`).
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.silu.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.silu(jnp.array(0.0)))
    0.0
    """
    return input * lax.logistic(input)


@silu.def_forward
def _(input, inplace):
    return silu.formula(input), {"x": input}


@silu.def_backward
def _(saved, dy):
    x, dy = lax.optimization_barrier((saved["x"], dy))
    s = lax.logistic(x)
    return (s * (1 + x * (1 - s)) * dy,)


@op(static=("beta", "threshold"))
def softplus(input, beta=1.0, threshold=20.0):
    """y = log(1 + exp(β x)) / β; y = x where β x > threshold.

    Shapes: any, kept.
    Backward: dx = -expm1(-β y) dy; dx = dy where β x > threshold. (exp(-β y) is 1 - σ(β x).)
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.softplus.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.softplus(jnp.array(0.0))), 4)
    0.6931
    """
    is_linear = input * beta > threshold
    return jnp.where(is_linear, input, jnp.log1p(jnp.exp(jnp.where(is_linear, 0, input * beta))) / beta)


@softplus.def_forward
def _(input, beta, threshold):
    y = softplus.formula(input, beta, threshold)
    # y alone cannot tell the sides apart: just below the threshold it is already above it
    return y, {"y": y, "is_linear": pack(input * beta > threshold), "beta": beta}


@softplus.def_backward
def _(saved, dy):
    return (jnp.where(unpack(saved["is_linear"], dy.shape), dy, -jnp.expm1(-saved["beta"] * saved["y"]) * dy),)


@op(static=("dim", "dtype"))
def softmax(input, dim=None, *, dtype=None):
    """y = exp(x) / Σ exp(x) along `dim`.

    Shapes: any, kept. With `dtype` the input is converted first.
    Backward: dx = y (dy - Σ y dy).
    Errors: ValueError where `dim` is not given (PyTorch guesses, and warns).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.softmax(jnp.zeros(4), dim=-1).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    x = _for_softmax("softmax", input, dim, dtype)
    e = jnp.exp(x - lax.stop_gradient(x.max(dim, keepdims=True)))
    return e / e.sum(dim, keepdims=True)


@softmax.def_forward
def _(input, dim, dtype):
    y = softmax.formula(input, dim, dtype=dtype)
    return y, {"y": y, "dim": dim, "dtype": input.dtype}


@softmax.def_backward
def _(saved, dy):
    y = saved["y"]
    return ((y * (dy - (y * dy).sum(saved["dim"], keepdims=True))).astype(saved["dtype"]),)


@op(static=("dim", "dtype"))
def log_softmax(input, dim=None, *, dtype=None):
    """y = x - log Σ exp(x) along `dim`.

    Shapes: any, kept. With `dtype` the input is converted first.
    Backward: dx = dy - exp(y) Σ dy.
    Errors: ValueError where `dim` is not given (PyTorch guesses, and warns).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.log_softmax(jnp.zeros(4), dim=-1)[0]), 4)
    -1.3863
    """
    x = _for_softmax("log_softmax", input, dim, dtype)
    z = x - lax.stop_gradient(x.max(dim, keepdims=True))
    return z - jnp.log(jnp.exp(z).sum(dim, keepdims=True))


@log_softmax.def_forward
def _(input, dim, dtype):
    y = log_softmax.formula(input, dim, dtype=dtype)
    return y, {"y": y, "dim": dim, "dtype": input.dtype}


@log_softmax.def_backward
def _(saved, dy):
    return ((dy - jnp.exp(saved["y"]) * dy.sum(saved["dim"], keepdims=True)).astype(saved["dtype"]),)


def _for_softmax(name, x, dim, dtype):
    if dim is None:
        raise ValueError(f"{name}: say along which axis, for example dim=-1")
    return x if dtype is None else x.astype(dtype)
