"""Gates of feed-forward blocks: an activation of one projection times another projection."""

from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, one_dtype, one_shape, refuse
from ._shared.normal import Phi, phi
from .activation import gelu, silu


@op
def swiglu(a, b):
    """y = silu(a) b, silu(a) = a σ(a).

    Shapes: a and b any, one shape, kept.
    Backward: da = b σ(a) (1 + a (1 - σ(a))) dy;  db = silu(a) dy, recomputed from a and b once dy is there (see `gelu`).
    Errors: ValueError for two shapes; TypeError for two dtypes, or what is not floating point.
    Source: https://arxiv.org/abs/2002.05202

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.swiglu(jnp.array(1.0), jnp.array(2.0))), 4)
    1.4621
    """
    _check("swiglu", a, b)
    return silu.formula(a) * b


@swiglu.def_forward
def _(a, b):
    return swiglu.formula(a, b), {"a": a, "b": b}


@swiglu.def_backward(recomputes=("a", "b"))
def _(saved, dy):
    a, b, dy = map(at_least_float32, (saved["a"], saved["b"], dy))
    s = lax.logistic(a)
    dtype = saved["a"].dtype
    return (b * s * (1 + a * (1 - s)) * dy).astype(dtype), (a * s * dy).astype(dtype)


@swiglu.def_recompute
def _(saved):
    return swiglu.formula(saved["a"], saved["b"])


@op(static=("approximate",))
def geglu(a, b, approximate="none"):
    """y = gelu(a) b, gelu(a) = a Φ(a), Φ the normal distribution function; with approximate="tanh", that of `gelu`.

    Shapes: a and b any, one shape, kept.
    Backward: da = b (Φ(a) + a φ(a)) dy, φ = Φ';  db = gelu(a) dy, recomputed from a and b once dy is there (see `gelu`).
    Errors: ValueError for two shapes, or another `approximate`; TypeError for two dtypes, or what is not floating point.
    Source: https://arxiv.org/abs/2002.05202

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.geglu(jnp.array(1.0), jnp.array(2.0))), 4)
    1.6827
    """
    _check("geglu", a, b)
    refuse("geglu", approximate not in ("none", "tanh") and f"approximate must be 'none' or 'tanh', got {approximate!r}")
    return gelu.formula(a, approximate) * b


@geglu.def_forward
def _(a, b, approximate):
    return geglu.formula(a, b, approximate), {"a": a, "b": b, "approximate": approximate}


@geglu.def_backward(recomputes=("a", "b"))
def _(saved, dy):
    approximate = saved["approximate"]
    a, b = saved["a"], saved["b"]
    x = at_least_float32(a)
    Phi_a = Phi(x, approximate)
    da = (b * (Phi_a + x * phi(x, approximate)) * dy).astype(a.dtype)
    return da, (x * Phi_a * dy).astype(b.dtype)


@geglu.def_recompute
def _(saved):
    return geglu.formula(saved["a"], saved["b"], saved["approximate"])


def _check(name, a, b):
    one_dtype(name, a=a, b=b)
    floating(name, a=a, b=b)
    one_shape(name, a=a, b=b)
