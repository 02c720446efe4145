"""Complex numbers: their parts, conjugation, Fourier transforms.

A cotangent is what JAX's is: that of z = x + iy under a real loss is ∂L/∂x - i ∂L/∂y, so a holomorphic f has dz = f'(z) dy without a
conjugate, and the rules of products, powers and matrices read as they do for real numbers.
"""

import math

import jax.numpy as jnp
from jax import lax

from ..engine import RULES, Wrapped, rule


def as_complex(x):
    return lax.complex(x, lax.full_like(x, 0))


def converted(x, dtype):
    """In another type; where that is real, the real part."""
    if jnp.iscomplexobj(x) and not jnp.issubdtype(dtype, jnp.complexfloating):
        x = lax.real(x)
    return x if x.dtype == dtype else lax.convert_element_type(x, dtype)


def greater(a, b):
    """a > b; of complex numbers by the real parts, and where these are equal by the imaginary ones, as `lax.max` orders them."""
    if not jnp.iscomplexobj(a):
        return lax.gt(a, b)
    (p, q), (r, s) = (lax.real(a), lax.imag(a)), (lax.real(b), lax.imag(b))
    return lax.gt(p, r) | (lax.eq(p, r) & lax.gt(q, s))


def less(a, b):
    return greater(b, a)


@rule("real")
def _(eq, dy):
    return as_complex(dy)


@rule("imag")
def _(eq, dy):
    """Im z is the real part of -iz."""
    return lax.complex(lax.full_like(dy, 0), lax.neg(dy))


@rule("complex")
def _(eq, dy):
    return lambda: lax.real(dy), lambda: lax.neg(lax.imag(dy))


@rule("sign", needs="x y")
def _(eq, dy):
    """y = x / |x| turns with x: y' = i y Im(conj(y) x') / |x|; at 0 it has no direction, and this is 0."""
    (x,), (y,) = eq.x, eq.y
    size = lax.abs(x)
    turned = lax.imag(dy * y) / lax.select(lax.eq(size, lax.full_like(size, 0)), lax.full_like(size, 1), size)
    return lax.conj(y) * lax.complex(lax.full_like(turned, 0), turned)


class _OfComplex(Wrapped):
    """Of real numbers it is a step."""

    def active_outputs(self, eqn, active):
        return [jnp.issubdtype(v.aval.dtype, jnp.complexfloating) for v in eqn.outvars]


RULES["sign"] = _OfComplex(RULES["sign"])


@rule("conj")
def _(eq, dy):
    """The conjugate of a real number is the same number, of a complex type."""
    return lax.conj(dy) if jnp.issubdtype(eq.in_avals[0].dtype, jnp.complexfloating) else lax.real(dy)


@rule("fft")
def _(eq, dy):
    """The matrix of a Fourier transform is symmetric; that of a real one is cut in half, and its real part taken."""
    kind, lengths = eq["fft_type"].name, tuple(eq["fft_lengths"])
    if kind in ("FFT", "IFFT"):
        return lax.fft(dy, kind, lengths)
    if kind == "RFFT":
        whole = lax.pad(dy, lax.full((), 0, dy.dtype), [(0, 0, 0)] * (dy.ndim - 1) + [(0, lengths[-1] - dy.shape[-1], 0)])
        return lax.real(lax.fft(whole, "FFT", lengths))
    half = lax.conj(lax.fft(dy, "RFFT", lengths))
    place = lax.broadcasted_iota("int32", half.shape, dy.ndim - 1)
    comes_once = (place == 0) | (2 * place == lengths[-1])  # every other one stands for its mirror image, too
    return half * lax.select(comes_once, lax.full_like(half, 1 / math.prod(lengths)), lax.full_like(half, 2 / math.prod(lengths)))
