"""Elementwise primitives: arithmetic, special functions, comparison and selection, dtype conversion."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import NoRuleError, no_gradient, rule
from ..program import jaxprs
from .complex import as_complex, converted, greater, less


def _reduced(d, aval):
    """Sum a cotangent over the axes in which this input was broadcast (a scalar, or size 1)."""
    if d.shape == aval.shape:
        return d
    if not aval.shape:
        return lax.reduce_sum(d, tuple(range(d.ndim)))
    axes = tuple(i for i, (n, m) in enumerate(zip(d.shape, aval.shape)) if n != m)
    return lax.reshape(lax.reduce_sum(d, axes), aval.shape)


def _wide(x, like):
    """An operand (an array, or a scalar literal of the program) broadcast to the shape of the result."""
    if not jnp.ndim(x):
        return lax.full(like.shape, x, x.dtype)
    return x if x.shape == like.shape else lax.broadcast_in_dim(x, like.shape, tuple(range(like.ndim)))


def _binary(name, first, second, needs, takes_numbers=False):
    """A rule of two inputs from the cotangent of each, as a function of (dy, x0, x1, y) at full shape.

    `takes_numbers`: whether what is a number, or of size 1 along an axis, may stay so.
    """

    @rule(name, needs=needs)
    def _(eq, dy):
        def at(function, i):
            x = [v if v is None else converted(v, dy.dtype) for v in (*eq.x, *eq.y)]
            x = [v if v is None or takes_numbers and (not v.shape or v.ndim == dy.ndim) else _wide(v, dy) for v in x]
            return converted(_reduced(function(dy, *x), eq.in_avals[i]), eq.in_avals[i].dtype)  # `out_dtype` may be another type

        return lambda: at(first, 0), lambda: at(second, 1)


def _unary(name, needs, derivative):
    """A rule dy * f'(.) where f' is a function of the input (needs="x") or of the output (needs="y")."""

    @rule(name, needs=needs)
    def _(eq, dy):
        return lax.mul(dy, derivative((eq.x if needs == "x" else eq.y)[0]))


def _c(x, value):
    return lax.full_like(x, value, sharding=jaxprs.explicit_sharding(jax.typeof(x)))


def _number(x, value):
    """A number in the type of x. (Rules that every model meets call `lax`: an operator of `jnp` takes twice as long to trace.)"""
    return np.asarray(value, x.dtype)


_binary("add", lambda d, *_: d, lambda d, *_: d, "")
_binary("add_any", lambda d, *_: d, lambda d, *_: d, "")
_binary("sub", lambda d, *_: d, lambda d, *_: lax.neg(d), "")
_binary("mul", lambda d, a, b, y: lax.mul(d, b), lambda d, a, b, y: lax.mul(d, a), ["x1", "x0"], takes_numbers=True)


@rule("div", needs=["x1", "x0 x1"])
def _(eq, dy):
    """The divisor's cotangent is summed over what the divisor was broadcast to, and then divided: once for each divisor."""

    def divisor():
        a, b = eq.x
        return lax.neg(lax.div(lax.div(_reduced(lax.mul(dy, a), eq.in_avals[1]), b), b))

    return lambda: _reduced(lax.div(dy, eq.x[1]), eq.in_avals[0]), divisor


_binary("rem", lambda d, *_: d, lambda d, a, b, y: lax.neg(d) * lax.mul(lax.sign(a / b), lax.floor(lax.abs(a / b))), ["", "x0 x1"])
_binary("atan2", lambda d, a, b, y: d * b / (a * a + b * b), lambda d, a, b, y: lax.neg(d * a / (a * a + b * b)), ["x0 x1", "x0 x1"])


def _share(d, mine, other, wins):
    """Ties give half to each side."""
    half = d * _c(d, 0.5)
    return lax.select(wins(mine, other), d, lax.select(lax.eq(mine, other), half, _c(d, 0)))


_binary("max", lambda d, a, b, y: _share(d, a, b, greater), lambda d, a, b, y: _share(d, b, a, greater), "x")
_binary("min", lambda d, a, b, y: _share(d, a, b, less), lambda d, a, b, y: _share(d, b, a, less), "x")
_binary("nextafter", lambda d, *_: d, lambda d, *_: _c(d, 0), "")


@rule("pow", needs=["x0 x1", "x0 y"])
def _(eq, dy):
    def base():
        """An integer exponent of 0 is a constant; a real one is not (and gives nan at 0 ** 0.0, as JAX does)."""
        x, p = _wide(eq.x[0], dy), _wide(eq.x[1], dy)
        integer = not jnp.issubdtype(p.dtype, jnp.inexact)
        p = lax.convert_element_type(p, dy.dtype)
        if integer:
            zero = lax.eq(p, _c(p, 0))
            slope = lax.select(zero, _c(p, 0), p * lax.pow(x, lax.select(zero, _c(p, 1), p) - 1))
        else:
            slope = p * lax.pow(x, p - 1)
        return _reduced(dy * slope, eq.in_avals[0])

    def exponent():
        x = _wide(eq.x[0], dy)
        log = lax.log(lax.select(lax.eq(x, _c(x, 0)), _c(x, 1), x))  # 0 ** p does not change with p
        return _reduced(dy * (log * eq.y[0]), eq.in_avals[1])

    return base, exponent


@rule("integer_pow", needs="x")
def _(eq, dy):
    n, x = eq["y"], eq.x[0]
    if n in (0, 1):
        return lax.mul(dy, _number(dy, n))
    return lax.mul(dy, lax.mul(_number(x, n), x if n == 2 else lax.integer_pow(x, n - 1)))


_unary("sin", "x", lax.cos)
_unary("cos", "x", lambda x: lax.neg(lax.sin(x)))
_unary("tan", "y", lambda y: 1 + y * y)
_unary("asin", "x", lambda x: lax.rsqrt(1 - x * x))
_unary("acos", "x", lambda x: lax.neg(lax.rsqrt(1 - x * x)))
_unary("atan", "x", lambda x: 1 / (1 + x * x))
_unary("sinh", "x", lax.cosh)
_unary("cosh", "x", lax.sinh)
_unary("tanh", "y", lambda y: lax.sub(_number(y, 1), lax.mul(y, y)))
_unary("asinh", "x", lambda x: lax.rsqrt(x * x + 1))
_unary("acosh", "x", lambda x: lax.rsqrt(x - 1) * lax.rsqrt(x + 1))  # the root of x² - 1 has the wrong sign left of the imaginary axis
_unary("atanh", "x", lambda x: 1 / ((1 + x) * (1 - x)))
_unary("exp", "y", lambda y: y)
_unary("exp2", "y", lambda y: y * math.log(2))
_unary("expm1", "y", lambda y: y + 1)
_unary("log", "x", lambda x: 1 / x)
_unary("log2", "x", lambda x: 1 / (x * math.log(2)))
_unary("log1p", "x", lambda x: 1 / (1 + x))
_unary("sqrt", "y", lambda y: 0.5 / y)
_unary("rsqrt", "x", lambda x: -0.5 * lax.rsqrt(x) / x)
_unary("cbrt", "y", lambda y: 1 / (3 * y * y))
_unary("square", "x", lambda x: lax.mul(_number(x, 2), x))
_unary("one_minus_square", "x", lambda x: -2 * x)
_unary("logistic", "y", lambda y: lax.mul(y, lax.sub(_number(y, 1), y)))
_unary("erf", "x", lambda x: (2 / math.sqrt(math.pi)) * lax.exp(lax.neg(x * x)))
_unary("erfc", "x", lambda x: (-2 / math.sqrt(math.pi)) * lax.exp(lax.neg(x * x)))
_unary("erf_inv", "y", lambda y: (math.sqrt(math.pi) / 2) * lax.exp(y * y))
_unary("lgamma", "x", lax.digamma)
_unary("digamma", "x", lambda x: lax.polygamma(_c(x, 1), x))
_unary("bessel_i1e", "x", lambda x: _bessel_i1e_slope(x))
_unary("bessel_i0e", "x", lambda x: lax.bessel_i1e(x) - lax.sign(x) * lax.bessel_i0e(x))


def _bessel_i1e_slope(x):
    """i0e(x) - i1e(x) (sign(x) + 1/x), and 1/2 at 0."""
    small = lax.le(lax.abs(x), _c(x, jnp.finfo(x.dtype).eps))
    safe = lax.select(small, _c(x, 1), x)
    return lax.select(small, _c(x, 0.5), lax.bessel_i0e(safe) - lax.bessel_i1e(safe) * (lax.sign(safe) + 1 / safe))


@rule("Ldexp", needs="x1")
def _(eq, dy):
    return jnp.ldexp(dy, eq.x[1]), None


@rule("Frexp", needs="y1")
def _(eq, dy, _):
    """The mantissa of x = m 2^e moves with x, and the exponent stays."""
    return jnp.ldexp(dy, -eq.y[1])


@rule("neg")
def _(eq, dy):
    return lax.neg(dy)


@rule("abs", needs="x")
def _(eq, dy):
    """The sign of x, 1 at 0 as in JAX; of a complex x the conjugate of its direction, 0 at 0."""
    x = eq.x[0]
    if not jnp.iscomplexobj(x):
        return lax.mul(dy, lax.select(lax.ge(x, _c(x, 0)), _c(x, 1), _c(x, -1)))
    y = lax.abs(x)
    return lax.mul(as_complex(dy / lax.select(lax.eq(y, _c(y, 0)), _c(y, 1), y)), lax.conj(x))


def _unknown(eq, what):
    def refuse():
        raise NoRuleError(f"no backward rule for {what}{eq.where()}; JAX has none either. Use lax.stop_gradient on it.")

    return refuse


@rule("polygamma", needs=["", "x"])
def _(eq, dy):
    def argument():
        m, x = (_wide(v, dy) for v in eq.x)
        return _reduced(dy * lax.polygamma(m + 1, x), eq.in_avals[1])

    return _unknown(eq, "the order of polygamma"), argument


def _gamma_density(a, x):
    return lax.exp(lax.neg(x) + (a - 1) * lax.log(x) - lax.lgamma(a))


_binary("igamma", lambda d, a, x, y: d * lax.igamma_grad_a(a, x), lambda d, a, x, y: d * _gamma_density(a, x), "x")
_binary("igammac", lambda d, a, x, y: lax.neg(d * lax.igamma_grad_a(a, x)), lambda d, a, x, y: lax.neg(d * _gamma_density(a, x)), "x")


@rule("random_gamma", needs="x1 y")
def _(eq, dy):
    """How a sample moves with its shape parameter, its place in the distribution kept; of its logarithm the same, over the sample."""

    def parameter():
        a, y = eq.x[1], eq.y[0]
        if not eq["log_space"]:
            return dy * lax.random_gamma_grad(a, y)
        sample = lax.exp(y)
        sample = lax.select(lax.eq(sample, _c(y, 0)), _c(y, jnp.finfo(y.dtype).tiny), sample)  # it may have been rounded to 0
        return dy * lax.random_gamma_grad(a, sample) / sample

    return None, parameter


@rule("regularized_incomplete_beta", needs=["", "", "x"])
def _(eq, dy):
    def argument():
        a, b, x = (_wide(v, dy) for v in eq.x)
        log_beta = lax.lgamma(a) + lax.lgamma(b) - lax.lgamma(a + b)
        return _reduced(dy * lax.exp((b - 1) * lax.log1p(lax.neg(x)) + (a - 1) * lax.log(x) - log_beta), eq.in_avals[2])

    return _unknown(eq, "a in betainc(a, b, x)"), _unknown(eq, "b in betainc(a, b, x)"), argument


@rule("polynomial", needs="x")
def _(eq, dy):
    """y = sum_k c_k x^k, by Horner's scheme."""
    x, *coefficients = (_wide(v, dy) for v in eq.x)

    def argument():
        slope = _c(dy, 0)
        for k in range(len(coefficients) - 1, 0, -1):
            slope = slope * x + k * coefficients[k]
        return _reduced(dy * slope, eq.in_avals[0])

    def coefficient(k):
        d = dy
        for _ in range(k):
            d = d * x
        return _reduced(d, eq.in_avals[k + 1])

    return argument, *(lambda k=k: coefficient(k) for k in range(len(coefficients)))


@rule("clamp", needs="x")
def _(eq, dy):
    low, x, high = (_wide(v, dy) for v in eq.x)
    zero = _c(dy, 0)
    return (
        lambda: _reduced(lax.select(lax.gt(low, x) & lax.lt(low, high), dy, zero), eq.in_avals[0]),
        lambda: lax.select(lax.gt(x, low) & lax.lt(x, high), dy, zero),
        lambda: _reduced(lax.select(lax.gt(x, high), dy, zero), eq.in_avals[2]),
    )


@rule("select_n", needs="x0")
def _(eq, dy):
    which, zero = eq.x[0], _c(dy, 0)
    n = len(eq.in_avals) - 1

    def case(i):
        return lax.select_n(which, *(dy if j == i else zero for j in range(n)))

    return None, *(lambda i=i: case(i) for i in range(n))


@rule("convert_element_type")
def _(eq, dy):
    return converted(dy, eq.in_avals[0].dtype)


@rule("reduce_precision")
def _(eq, dy):
    return lax.reduce_precision(dy, eq["exponent_bits"], eq["mantissa_bits"])


for _name in ("copy", "copy_p", "name", "sharding_constraint", "device_put", "mesh_cast"):

    @rule(_name)
    def _(eq, *dys):
        return dys


@rule("optimization_barrier")
def _(eq, *dys):
    arrays = iter(lax.optimization_barrier([d for d in dys if d is not None]))
    return tuple(None if d is None else next(arrays) for d in dys)


@rule("tie")
def _(eq, dy):
    return lambda: lax.full(eq.in_avals[0].shape, 0, eq.in_avals[0].dtype), dy


no_gradient(
    "floor",
    "ceil",
    "round",
    "is_finite",
    "stop_gradient",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "eq_to",
    "le_to",
    "lt_to",
    "not",
    "and",
    "or",
    "xor",
    "shift_left",
    "shift_right_logical",
    "shift_right_arithmetic",
    "population_count",
    "clz",
    "mulhi",
    "bitcast_convert_type",
    "iota",
    "random_bits",
    "random_seed",
    "random_split",
    "random_fold_in",
    "random_wrap",
    "random_unwrap",
    "random_clone",
    "threefry2x32",
    "rng_bit_generator",
    "rng_uniform",
    "empty",
    "empty2",
    "create_token",
    "after_all",
    "axis_index",
)
