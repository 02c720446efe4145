"""Linear and bilinear maps, flatten and unflatten, identity."""

import math

import jax.numpy as jnp

from ..engine import in_memory, op
from ._shared.checks import inexact, one_dtype
from ._shared.sizes import surely


@op
def linear(input, weight, bias=None):
    """y = x Wᵀ + b on the last axis.

    Shapes: input (*, in), weight (out, in), bias (out,) or None -> (*, out); weight (in,), bias () or None -> (*).
    Backward: dx = dy W;  dW = dyᵀ x and db = Σ dy, over all leading axes at once.
    Products of up to 512 multiplications are written as multiply and sum (see `_is_tiny`).
    Errors: ValueError where the shapes do not fit; TypeError for several dtypes, or what is neither floating point nor complex.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.linear.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.linear(jnp.ones(2), jnp.array([[1.0, 2.0]]), jnp.array([0.5])).tolist()
    [3.5]
    """
    fits = weight.ndim in (1, 2) and input.ndim > 0 and input.shape[-1] == weight.shape[-1]
    if not fits or (bias is not None and bias.shape != weight.shape[:-1]):
        shapes = f"input {input.shape}, weight {weight.shape}" + ("" if bias is None else f", bias {bias.shape}")
        raise ValueError(f"linear: expected input (*, in), weight (out, in) and bias (out,), got {shapes}")
    one_dtype("linear", input=input, weight=weight, bias=bias)
    inexact("linear", input=input)
    W = _matrix(weight)
    y = (input[..., None, :] * W).sum(-1) if _is_tiny(input, W) else input @ W.T
    y = y.reshape(*input.shape[:-1], *weight.shape[:-1])
    return y if bias is None else y + bias


@linear.def_forward
def _(input, weight, bias):
    return linear.formula(input, weight, bias), {"x": input, "W": weight, "has_bias": bias is not None}


@linear.def_backward
def _(saved, dy):
    x, W = saved["x"], _matrix(saved["W"])
    dy = dy.reshape(*x.shape[:-1], W.shape[0])
    leading = tuple(range(dy.ndim - 1))
    if _is_tiny(x, W):
        dx = (dy[..., None] * W).sum(-2)
        dW = (dy[..., None] * x[..., None, :]).sum(leading)
    else:
        dW, dy = in_memory(jnp.tensordot(dy, x, axes=(leading, leading)), dy)
        dx = dy @ W
    shape = saved["W"].shape
    return dx, dW.reshape(shape), dy.sum(leading).reshape(shape[:-1]) if saved["has_bias"] else None


@linear.def_vmap
def _(size, mapped, input, weight, bias):
    return None if mapped["weight"] or mapped["bias"] else linear(input, weight, bias)


def _matrix(W):
    return W if W.ndim == 2 else W[None]


def _is_tiny(x, W):
    """Whether x Wᵀ is so small that calling a matrix product costs more than the product.

    XLA:CPU calls a library for a dot and fuses multiply and sum. A step of forward and backward in a scan, dots against sums: 256
    multiplications 12 to 0.3 µs, 512 7 to 0.4 µs, 1,024 (one row) a tie, 4,096 6 to 109 µs. Low precision needs the dot's accumulator.
    """
    return surely(lambda: x.size * W.shape[0] <= 512) and jnp.finfo(x.dtype).bits >= 32


@op
def bilinear(input1, input2, weight, bias=None):
    """y_o = x1ᵀ W_o x2 + b_o on the last axes.

    Shapes: input1 (*, in1), input2 (*, in2), weight (out, in1, in2), bias (out,) or None -> (*, out).
    Backward: dx1 = Σ_o dy_o W_o x2;  dx2 = Σ_o dy_o W_oᵀ x1;  dW_o = Σ dy_o x1 x2ᵀ;  db = Σ dy.
    Errors: ValueError where the shapes do not fit; TypeError for several dtypes, or what is neither floating point nor complex.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.bilinear.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.bilinear(jnp.ones(2), jnp.ones(3), jnp.ones((1, 2, 3))).tolist()
    [6.0]
    """
    given = input1.shape[-1:] + input2.shape[-1:]
    fits = weight.ndim == 3 and given == weight.shape[1:] and input1.shape[:-1] == input2.shape[:-1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        shapes = f"{input1.shape}, {input2.shape}, weight {weight.shape}" + ("" if bias is None else f", bias {bias.shape}")
        raise ValueError(f"bilinear: expected inputs (*, in1) and (*, in2), weight (out, in1, in2) and bias (out,), got {shapes}")
    one_dtype("bilinear", input1=input1, input2=input2, weight=weight, bias=bias)
    inexact("bilinear", input1=input1)
    y = jnp.einsum("...i,oij,...j->...o", input1, weight, input2)
    return y if bias is None else y + bias


@bilinear.def_forward
def _(input1, input2, weight, bias):
    saved = {"x1": input1, "x2": input2, "W": weight, "has_bias": bias is not None}
    return bilinear.formula(input1, input2, weight, bias), saved


@bilinear.def_backward
def _(saved, dy):
    x1, x2, W = saved["x1"], saved["x2"], saved["W"]
    dx1 = jnp.einsum("...o,oij,...j->...i", dy, W, x2)
    dx2 = jnp.einsum("...o,oij,...i->...j", dy, W, x1)
    dW = jnp.einsum("...o,...i,...j->oij", dy, x1, x2)
    return dx1, dx2, dW, dy.sum(range(dy.ndim - 1)) if saved["has_bias"] else None


@op(static=("start_dim", "end_dim"))
def flatten(input, start_dim=0, end_dim=-1):
    """Axes start_dim to end_dim (inclusive) as one.

    Backward: dx = dy in the shape of x.
    Errors: ValueError where start_dim comes after end_dim.
    Source: https://pytorch.org/docs/stable/generated/torch.flatten.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.flatten(jnp.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    n = max(input.ndim, 1)
    if not (-n <= start_dim < n and -n <= end_dim < n) or start_dim % n > end_dim % n:
        raise ValueError(f"flatten: start_dim={start_dim}, end_dim={end_dim} do not fit an input of shape {input.shape}")
    if input.ndim == 0:
        return input.reshape(1)
    start, end = start_dim % n, end_dim % n
    return input.reshape(*input.shape[:start], math.prod(input.shape[start : end + 1]), *input.shape[end + 1 :])


@flatten.def_forward
def _(input, start_dim, end_dim):
    return flatten.formula(input, start_dim, end_dim), {"shape": input.shape}


@flatten.def_backward
def _(saved, dy):
    return (dy.reshape(saved["shape"]),)


@op(static=("dim", "sizes"))
def unflatten(input, dim, sizes):
    """Axis `dim` as several of these sizes, one of which may be -1: what is left.

    Backward: dx = dy in the shape of x.
    Errors: ValueError where `dim` is no axis, or its size is not the product of the sizes.
    Source: https://pytorch.org/docs/stable/generated/torch.unflatten.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.unflatten(jnp.ones((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    n, known, open_ones = input.ndim, math.prod(s for s in sizes if s != -1), sizes.count(-1)
    fits = -n <= dim < n and len(sizes) > 0 and min(sizes) >= -1 and (open_ones == 0 or open_ones == 1 and known > 0)
    left = input.shape[dim] // known if fits and open_ones else 1
    if not fits or known * left != input.shape[dim]:
        raise ValueError(f"unflatten: sizes {sizes} do not multiply up to axis {dim} of an input of shape {input.shape}")
    axis = dim % n
    return input.reshape(*input.shape[:axis], *(left if s == -1 else s for s in sizes), *input.shape[axis + 1 :])


@unflatten.def_forward
def _(input, dim, sizes):
    return unflatten.formula(input, dim, sizes), {"shape": input.shape}


@unflatten.def_backward
def _(saved, dy):
    return (dy.reshape(saved["shape"]),)


@op
def identity(input):
    """y = x.

    Backward: dx = dy.
    Errors: none.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Identity.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.identity(jnp.ones(2)).tolist()
    [1.0, 1.0]
    """
    return input


@identity.def_forward
def _(input):
    return input, {}


@identity.def_backward
def _(saved, dy):
    return (dy,)
