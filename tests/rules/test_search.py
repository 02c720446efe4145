"""Every rule by hand against jax.vjp, over options drawn from what the primitive allows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jax import lax

import bpjax

few = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
FLOATS = st.sampled_from([jnp.float32, jnp.bfloat16, jnp.float16, jnp.float64])
NUMBERS = st.sampled_from([jnp.int8, jnp.uint8, jnp.int32, jnp.uint32, jnp.int64])
SIZES = st.integers(0, 4)
POSITIVE = st.integers(1, 4)
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("x64")]


def array(seed, shape, dtype):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def same(f, *args):
    """The cotangents by hand are JAX's, in value and type; or JAX has none."""
    try:
        y, auto_types = jax.eval_shape(lambda *args: (f(*args), jax.vjp(f, *args)[1](zeros_of(f, *args))), *args)
    except (TypeError, ValueError, NotImplementedError):
        assume(False)
    dy = [array(9 + i, o.shape, o.dtype) for i, o in enumerate(jax.tree.leaves(y)) if jnp.issubdtype(o.dtype, jnp.floating)]

    @jax.jit
    def both(args, dy):
        floating = lambda *args: [o for o in jax.tree.leaves(f(*args)) if jnp.issubdtype(o.dtype, jnp.floating)]
        return [list(vjp(floating, *args)[1](dy)) for vjp in (bpjax.vjp, jax.vjp)]

    types = [x.dtype for x in (*args, *jax.tree.leaves(y)) if jnp.issubdtype(x.dtype, jnp.floating)]
    eps = max(float(jnp.finfo(t).eps) for t in types)
    for h, a in zip(*both(args, dy), strict=True):
        assert h.shape == a.shape and h.dtype == a.dtype
        h, a = (np.nan_to_num(np.asarray(x, np.float64)) for x in (h, a))
        assert np.linalg.norm(h - a) <= 16 * eps * np.linalg.norm(a) + 1e-300


def zeros_of(f, *args):
    zero = lambda o: jnp.zeros(o.shape, o.dtype) if jnp.issubdtype(o.dtype, jnp.floating) else np.zeros(o.shape, jax.dtypes.float0)
    return jax.tree.map(zero, jax.eval_shape(f, *args))


@few
@given(st.data())
def test_dynamic_slice_and_update(data):
    shape = data.draw(st.lists(POSITIVE, min_size=1, max_size=3))
    sizes = [data.draw(st.integers(0, n)) for n in shape]
    index = data.draw(NUMBERS)
    low = 0 if jnp.issubdtype(index, jnp.unsignedinteger) else -9
    start = [jnp.asarray(data.draw(st.integers(low, 9)), index) for _ in shape]
    allow = data.draw(st.booleans())
    x, u = array(0, shape, data.draw(FLOATS)), array(1, sizes, jnp.float32)
    same(lambda x: lax.dynamic_slice(x, start, sizes, allow_negative_indices=allow), x)
    same(lambda x, u: lax.dynamic_update_slice(x, u, start, allow_negative_indices=allow), x, u.astype(x.dtype))


def indices(data, n, count):
    dtype = data.draw(NUMBERS)
    low = 0 if jnp.issubdtype(dtype, jnp.unsignedinteger) else -2 * n - 1
    return jnp.asarray([data.draw(st.integers(low, 2 * n + 1)) for _ in range(count)], dtype).reshape(count, 1)


MODES = st.sampled_from(["clip", "fill", "promise_in_bounds"])


@few
@given(st.data())
def test_gather(data):
    n, width, count = data.draw(POSITIVE), data.draw(POSITIVE), data.draw(SIZES)
    window = data.draw(st.integers(0, n)), data.draw(st.integers(0, width))
    collapsed = (0,) if window[0] == 1 and data.draw(st.booleans()) else ()
    mode, at = data.draw(MODES), indices(data, n, count)
    at = jnp.clip(at, 0, n - window[0]) if mode == "promise_in_bounds" else at
    numbers = lax.GatherDimensionNumbers(tuple(range(1, 3 - len(collapsed))), collapsed, (0,))
    x = array(0, (n, width), data.draw(FLOATS))
    same(lambda x: lax.gather(x, at, numbers, window, mode=mode, fill_value=data.draw(st.sampled_from([None, 0, 7]))), x)


@few
@given(st.data())
def test_scatter(data):
    name = data.draw(st.sampled_from(["scatter", "scatter_add", "scatter_sub", "scatter_mul", "scatter_min", "scatter_max"]))
    n, width, count = data.draw(POSITIVE), data.draw(POSITIVE), data.draw(SIZES)
    window = data.draw(st.integers(1, n)), data.draw(st.integers(1, width))
    inserted = (0,) if window[0] == 1 and data.draw(st.booleans()) else ()
    mode, at = data.draw(MODES), indices(data, n, count)
    at = jnp.clip(at, 0, n - window[0]) if mode == "promise_in_bounds" else at
    numbers = lax.ScatterDimensionNumbers(tuple(range(1, 3 - len(inserted))), inserted, (0,))
    x, dtype = None, data.draw(FLOATS)
    x = array(0, (n, width), dtype)
    u = array(1, (count, *window[len(inserted) :]), dtype)
    distinct = len(set(np.asarray(at).ravel().tolist())) == count and window[0] == 1 and name == "scatter_mul"
    f = lambda x, u: getattr(lax, name)(x, at, u, numbers, mode=mode, unique_indices=distinct and mode != "clip")
    same(f, x, u) if name != "scatter_mul" or (distinct and mode != "clip") else same(lambda x: f(x, u), x)


@few
@given(st.data())
def test_convolution(data):
    spatial = data.draw(st.integers(1, 2))
    groups, batches = data.draw(st.sampled_from([(1, 1), (2, 1), (1, 2)]))
    draw = lambda of: [data.draw(of) for _ in range(spatial)]
    strides, x_dilation, k_dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    padding = [(data.draw(st.integers(-2, 3)), data.draw(st.integers(-2, 3))) for _ in range(spatial)]
    dtype, wanted = data.draw(FLOATS), data.draw(st.sampled_from([None, jnp.float32, jnp.float64]))
    x = array(0, (2 * batches, 2 * groups, *draw(st.integers(1, 6))), dtype)
    k = array(1, (2 * groups * batches, 2, *draw(st.integers(1, 3))), dtype)
    f = lambda x, k: lax.conv_general_dilated(
        x, k, strides, padding, x_dilation, k_dilation, feature_group_count=groups, batch_group_count=batches, preferred_element_type=wanted
    )
    try:
        shape = jax.eval_shape(f, x, k).shape
    except (TypeError, ValueError):
        assume(False)
    assume(all(shape))
    same(f, x, k)


@few
@given(st.data())
def test_dot_general(data):
    b, m, n, c = (data.draw(SIZES) for _ in range(4))
    left, right = data.draw(FLOATS), data.draw(FLOATS)
    wanted = data.draw(st.sampled_from([None, jnp.float32, jnp.float64]))
    orders = data.draw(st.permutations(range(3))), data.draw(st.permutations(range(3)))
    x, y = array(0, (b, m, c), left).transpose(orders[0]), array(1, (b, c, n), right).transpose(orders[1])
    numbers = ((orders[0].index(2),), (orders[1].index(1),)), ((orders[0].index(0),), (orders[1].index(0),))
    same(lambda x, y: lax.dot_general(x, y, numbers, preferred_element_type=wanted), x, y)


@few
@given(st.data())
def test_pad_slice_and_concatenate(data):
    shape = [data.draw(SIZES) for _ in range(2)]
    config = [(data.draw(st.integers(-3, 3)), data.draw(st.integers(-3, 3)), data.draw(st.integers(0, 2))) for _ in shape]
    dtype = data.draw(FLOATS)
    x = array(0, shape, dtype)
    same(lambda x, v: lax.pad(x, v, config), x, array(1, (), dtype))
    start = [data.draw(st.integers(0, n)) for n in shape]
    stop = [data.draw(st.integers(s, n)) for s, n in zip(start, shape)]
    same(lambda x: lax.slice(x, start, stop, [data.draw(st.integers(1, 3)) for _ in shape]), x)
    axis = data.draw(st.integers(0, 1))
    same(lambda x, y: lax.concatenate([x, y, x], axis), x, array(2, shape, dtype))
    same(lambda x: lax.rev(x, (axis,)), x)


BINARY = [lax.add, lax.sub, lax.mul, lax.div, lax.max, lax.min, lax.atan2, lax.rem, lax.pow, lax.nextafter]


@few
@given(st.data())
def test_two_arrays(data):
    f, dtype = data.draw(st.sampled_from(BINARY)), data.draw(FLOATS)
    shape = [data.draw(SIZES) for _ in range(data.draw(st.integers(0, 3)))]
    smaller = lambda: [1 if data.draw(st.booleans()) else n for n in shape]
    x, y = jnp.abs(array(0, smaller(), dtype)) + 1, jnp.abs(array(1, smaller(), dtype)) + 2
    if data.draw(st.booleans()):
        x, y = (x, y.ravel()[0]) if y.size else (x, y)
    same(f, x, y)


@few
@given(st.data())
def test_types_of_the_result(data):
    f = data.draw(st.sampled_from([lax.mul, lax.add, lax.sub]))
    wanted = data.draw(FLOATS)
    x, y = array(0, (3,), data.draw(FLOATS)), array(1, (3,), data.draw(FLOATS))
    same(lambda x, y: f(x, y, out_dtype=wanted) if f is lax.mul else f(x.astype(wanted), y.astype(wanted)), x, y)
    same(lambda x: lax.convert_element_type(x, data.draw(st.one_of(FLOATS, NUMBERS))), x)
    same(lambda x: x * 2 + 1.5 - np.float32(3), x)
    same(lambda x: lax.pow(jnp.abs(x) + 1, jnp.asarray(data.draw(st.integers(0, 5)), data.draw(NUMBERS))), x)
    same(lambda x: lax.integer_pow(x, data.draw(st.integers(-3, 4))), x)


REDUCTIONS = [lax.reduce_sum, lax.reduce_prod, lax.reduce_max, lax.reduce_min]


@few
@given(st.data())
def test_reductions(data):
    shape = [data.draw(SIZES) for _ in range(3)]
    axes = tuple(data.draw(st.sets(st.integers(0, 2))))
    x = array(0, shape, data.draw(FLOATS))
    f = data.draw(st.sampled_from(REDUCTIONS))
    if f in (lax.reduce_max, lax.reduce_min):
        assume(all(shape[i] for i in axes))
    same(lambda x: f(x, axes), x)


CUMULATIVE = [lax.cumsum, lax.cumprod, lax.cummax, lax.cummin, lax.cumlogsumexp]


@few
@given(st.data())
def test_cumulative(data):
    x = array(0, [data.draw(SIZES), data.draw(SIZES)], data.draw(FLOATS))
    f, axis, reverse = data.draw(st.sampled_from(CUMULATIVE)), data.draw(st.integers(0, 1)), data.draw(st.booleans())
    same(lambda x: f(x, axis=axis, reverse=reverse), x)


@few
@given(st.data())
def test_windows(data):
    shape = [data.draw(st.integers(1, 6)) for _ in range(2)]
    draw = lambda of: [data.draw(of) for _ in shape]
    window, strides = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = [(data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2))) for _ in shape]
    dilation, base = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    first, f = data.draw(st.sampled_from([(0.0, lax.add), (-np.inf, lax.max), (np.inf, lax.min)]))
    dtype = data.draw(FLOATS)
    x = array(0, shape, dtype)
    same(lambda x: lax.reduce_window(x, jnp.asarray(first, dtype), f, window, strides, padding, base, dilation), x)


@few
@given(st.data())
def test_choices(data):
    shape, dtype = [data.draw(SIZES), data.draw(SIZES)], data.draw(FLOATS)
    x, y, z = (array(i, shape, dtype) for i in range(3))
    which = jnp.asarray(np.random.default_rng(5).integers(0, 2, shape))
    same(lambda x, y: lax.select_n(which.astype(bool), x, y), x, y)
    same(lambda x, y, z: lax.select_n(which.astype(jnp.int32), x, y, z), x, y, z)
    same(lambda x, low: lax.clamp(low, x, jnp.asarray(0.5, dtype)), x, jnp.asarray(-0.5, dtype))
    axis, stable = data.draw(st.integers(0, 1)), data.draw(st.booleans())
    same(lambda x, y: lax.sort([x, y], dimension=axis, is_stable=stable, num_keys=data.draw(st.integers(1, 2))), x, y)
    if shape[1]:
        same(lambda x: lax.top_k(x, data.draw(st.integers(0, shape[1])))[0], x)


UNARY = [
    lax.sin, lax.cos, lax.tan, lax.asin, lax.acos, lax.atan, lax.sinh, lax.cosh, lax.tanh, lax.asinh, lax.acosh, lax.atanh, lax.exp,
    lax.exp2, lax.expm1, lax.log, lax.log1p, lax.sqrt, lax.rsqrt, lax.cbrt, lax.square, lax.logistic, lax.abs, lax.erf, lax.erfc,
    lax.erf_inv, lax.lgamma, lax.digamma, lax.bessel_i0e, lax.bessel_i1e, lax.neg, lax.sign, lax.floor, lax.round, lax.is_finite,
]  # fmt: skip


@settings(few, max_examples=24)
@given(st.data())
def test_one_array(data):
    f, dtype = data.draw(st.sampled_from(UNARY)), data.draw(FLOATS)
    x = array(0, [data.draw(SIZES)], dtype)
    x = (
        x / 8
        if f in (lax.asin, lax.acos, lax.atanh, lax.erf_inv)
        else jnp.abs(x) + 1
        if f in (lax.log, lax.sqrt, lax.acosh, lax.lgamma)
        else x
    )
    same(f, x)
