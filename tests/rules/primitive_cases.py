"""One table: primitive, case, function, arguments. Every check of the rules runs over it."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.ad_checkpoint import checkpoint_name

_rng = np.random.default_rng(0)


def normal(*shape):
    return _rng.normal(size=shape)


def positive(*shape):
    return _rng.uniform(0.3, 2.0, size=shape)


def inside(*shape):
    return _rng.uniform(-0.8, 0.8, size=shape)


CASES = []  # (primitive, id, function, arguments, smooth: whether second derivatives are compared)
ENTRYWISE = {"exp: edges", "exp2: edges", "logistic: edges", "cumlogsumexp: in reverse, ties"}  # each number is compared for itself


def case(primitive, name, f, *args, smooth=True):
    CASES.append((primitive, name, f, args, smooth))


for _name in "add sub mul".split():
    case(_name, "equal shapes", getattr(lax, _name), normal(3, 4), normal(3, 4))
    case(_name, "a scalar", lambda x, s, f=getattr(lax, _name): f(x, s), normal(3, 4), normal())
    case(_name, "rows", lambda x, r, f=getattr(lax, _name): f(x, jnp.reshape(r, (1, 4))), normal(3, 4), normal(4))
case("div", "equal shapes", lax.div, normal(3), positive(3))
case("div", "by a scalar", lambda x, s: x / s, normal(3), positive())
case("rem", "smooth", lax.rem, positive(4) * 5, positive(4))
case("atan2", "four quadrants", lax.atan2, np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1]))
case("max", "ties", lax.max, np.array([1.0, 2, 3]), np.array([3.0, 2, 1]), smooth=False)
case("min", "ties", lax.min, np.array([1.0, 2, 3]), np.array([3.0, 2, 1]), smooth=False)
case("pow", "positive base", lax.pow, positive(4), normal(4))
case("pow", "zero base and zero exponent", lax.pow, np.array([0.0, 0, 2, 1]), np.array([2.0, 1, 0, 0]), smooth=False)
case("integer_pow", "cube", lambda x: lax.integer_pow(x, 3), normal(4))
case("integer_pow", "negative", lambda x: lax.integer_pow(x, -2), positive(4))
for _name in "sin cos tan sinh cosh tanh exp exp2 expm1 atan asinh logistic erf erfc square bessel_i0e bessel_i1e neg".split():
    case(_name, "smooth", getattr(lax, _name), normal(5) + 0.1)
for _name in "log log1p sqrt rsqrt cbrt lgamma digamma".split():
    case(_name, "positive", getattr(lax, _name), positive(5))
for _name in "asin acos atanh erf_inv".split():
    case(_name, "inside", getattr(lax, _name), inside(5))
case("acosh", "above one", lax.acosh, 1.5 + positive(5))
case("abs", "and at zero", lax.abs, np.array([-1.0, 0, 2]), smooth=False)
case("clamp", "edges", lax.clamp, np.zeros(5), np.array([-1.0, 0, 0.5, 1, 2]), np.ones(5), smooth=False)
case("select_n", "two", lambda x, y: jnp.where(np.array([True, False, True]), x, y), normal(3), normal(3))
case("select_n", "three", lambda x, y, z: lax.select_n(np.array([0, 2, 1]), x, y, z), normal(3), normal(3), normal(3))
case("convert_element_type", "and back", lambda x: x.astype(jnp.float32).astype(x.dtype) * 1.5, np.array([0.5, 2, 3]))
case("optimization_barrier", "two", lambda x, y: lax.optimization_barrier((x * x, y)), normal(3), normal(3))
case("copy", "copy", lambda x: jnp.copy(x) * x, normal(3))
case("broadcast_in_dim", "new axes", lambda x: jnp.broadcast_to(x, (2, 3, 4)), normal(3, 1))
case("reshape", "flat", lambda x: x.reshape(-1) * 2, normal(2, 3))
case("squeeze", "one", lambda x: jnp.squeeze(x, 1), normal(2, 1, 3))
case("transpose", "three", lambda x: jnp.transpose(x, (2, 0, 1)), normal(2, 3, 4))
case("rev", "two axes", lambda x: x[::-1, ::-1], normal(2, 3))
case("concatenate", "uneven", lambda x, y: lax.concatenate([x, y], 1), normal(2, 3), normal(2, 1))
case("pad", "gaps and cuts", lambda x, v: lax.pad(x, v, [(1, -1, 2), (-1, 2, 0)]), normal(3, 4), normal())
case("slice", "strided", lambda x: lax.slice(x, (0, 1), (3, 6), (2, 3)), normal(3, 7))
case("split", "uneven", lambda x: lax.split(x, (1, 3), 0), normal(4, 2))
case("reduce_sum", "an axis", lambda x: x.sum(1), normal(2, 3, 4))
case("reduce_max", "ties", lambda x: x.max(1), np.array([[1.0, 3, 3], [2, 1, 0]]), smooth=False)
case("reduce_min", "ties", lambda x: x.min(0), np.array([[1.0, 3, 3], [1, 1, 0]]), smooth=False)
case("reduce_prod", "zeros", lambda x: x.prod(1), np.array([[1.0, 0, 3], [0, 2, 0], [2, 3, 4]]))
case("cumsum", "forward", lambda x: jnp.cumsum(x, 1), normal(2, 4))
case("cumsum", "in reverse", lambda x: lax.cumsum(x, 0, reverse=True), normal(3, 2))
case("cumprod", "zeros", lambda x: lax.cumprod(x, 1), np.array([[1.0, 0, 3, 2], [2, 3, 0, 0.5]]))
case("cumprod", "in reverse", lambda x: lax.cumprod(x, 0, reverse=True), normal(4, 2))
case("cumlogsumexp", "forward", lambda x: lax.cumlogsumexp(x, 0), normal(5))
case("sort", "one", lambda x: jnp.sort(x, 1), normal(2, 5))
case("sort", "with a payload", lambda x, y: lax.sort((x, y), dimension=0, num_keys=1), normal(5), normal(5))
case("top_k", "two", lambda x: lax.top_k(x, 2)[0], normal(3, 5))
case("gather", "rows", lambda x: x[np.array([0, 2, 2])], normal(4, 3))
case("gather", "out of bounds fills", lambda x: x.at[np.array([0, 9])].get(mode="fill", fill_value=0.0), normal(4, 3))
case("gather", "clipped", lambda x: x.at[np.array([0, 9])].get(mode="clip"), normal(4, 3))
case("gather", "along an axis", lambda x: jnp.take_along_axis(x, np.array([[0, 2], [1, 1]]), 1), normal(2, 3))
case("scatter-add", "repeated", lambda x, u: x.at[np.array([1, 1, 3])].add(u), normal(4, 2), normal(3, 2))
case("scatter", "the last write counts", lambda x, u: x.at[np.array([1, 1, 3])].set(u), normal(4, 2), normal(3, 2))
case("scatter", "out of bounds is dropped", lambda x, u: x.at[np.array([1, 7])].set(u), normal(4, 2), normal(2, 2))
case("scatter-mul", "unique", lambda x, u: x.at[np.array([0, 3])].multiply(u, unique_indices=True), normal(4, 2), normal(2, 2))
case("dynamic_slice", "clamped", lambda x: lax.dynamic_slice(x, (jnp.int32(3), jnp.int32(0)), (2, 2)), normal(4, 3))
case(
    "dynamic_update_slice",
    "inside",
    lambda x, u: lax.dynamic_update_slice(x, u, (jnp.int32(1), jnp.int32(1))),
    normal(4, 3),
    normal(2, 2),
)
case("dot_general", "matrices", lambda x, y: x @ y, normal(2, 3), normal(3, 4))
case("dot_general", "batched, several contracted", lambda x, y: jnp.einsum("abcd,bdce->ea", x, y), normal(2, 3, 4, 2), normal(3, 2, 4, 5))
case("dot_general", "batch axes in the middle", lambda x, y: jnp.einsum("ibk,kjb->bij", x, y), normal(2, 3, 4), normal(4, 5, 3))


def conv(**options):
    options = {"window_strides": (1, 1), "padding": "SAME", **options}
    return lambda x, k: lax.conv_general_dilated(x, k, **options)


case("conv_general_dilated", "same", conv(), normal(2, 3, 5, 6), normal(4, 3, 3, 3))
case("conv_general_dilated", "strided, valid, uneven", conv(window_strides=(2, 3), padding="VALID"), normal(2, 3, 8, 9), normal(4, 3, 3, 2))
case(
    "conv_general_dilated",
    "dilated",
    conv(rhs_dilation=(2, 1), lhs_dilation=(1, 2), padding=[(2, 1), (0, 3)]),
    normal(2, 2, 6, 5),
    normal(3, 2, 2, 3),
)
case("conv_general_dilated", "groups", conv(feature_group_count=2), normal(2, 4, 5, 5), normal(6, 2, 3, 3))
case(
    "conv_general_dilated",
    "depthwise, strided",
    conv(feature_group_count=4, window_strides=(2, 2)),
    normal(2, 4, 5, 5),
    normal(4, 1, 3, 3),
)
case("conv_general_dilated", "batch groups", conv(batch_group_count=2), normal(4, 3, 5, 5), normal(6, 3, 3, 3))
case("conv_general_dilated", "NHWC", conv(dimension_numbers=("NHWC", "HWIO", "NHWC")), normal(2, 5, 6, 3), normal(3, 2, 3, 4))
case("conv_general_dilated", "negative padding", conv(padding=[(-1, 0), (1, -1)]), normal(1, 2, 6, 6), normal(2, 2, 2, 2))
case(
    "reduce_window_sum",
    "strided",
    lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 3, 2), (1, 2, 1), ((0, 0), (1, 0), (0, 1))),
    normal(2, 6, 5),  # noqa: E501
)
case(
    "reduce_window_max",
    "overlapping",
    lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 2), (1, 2, 1), ((0, 0), (1, 0), (0, 1))),
    normal(2, 6, 5),
    smooth=False,
)
case("logsumexp", "softmax and its kin", lambda x: (jax.nn.logsumexp(x, -1), jax.nn.softmax(x, -1)), normal(2, 4))


# ---- a second case for each, at the edges ----

INF = np.inf
EDGES = {
    "sin": [0.0, 30, -2],
    "cos": [0.0, 30, -2],
    "tan": [0.0, 1.5],
    "sinh": [0.0, -3],
    "cosh": [0.0, -3],
    "tanh": [0.0, 20, -20],
    "exp": [0.0, -50, 3],
    "exp2": [0.0, -50, 3],
    "expm1": [0.0, 1e-9, 3],
    "atan": [0.0, 1e6],
    "asinh": [0.0, -1e3],
    "logistic": [0.0, 40, -40],  # noqa: E501
    "erf": [0.0, 5, -5],
    "erfc": [0.0, 5, -5],
    "square": [0.0, -3],
    "bessel_i0e": [-3.0, 2, 10],
    "bessel_i1e": [0.0, 1e-17, -3],
    "neg": [0.0, INF],  # noqa: E501
    "log": [0.0, 1e-100, 5],
    "log1p": [0.0, -0.5, 1e9],
    "sqrt": [0.0, 4],
    "rsqrt": [0.0, 4, 1e-9],
    "cbrt": [0.0, -8, 8],
    "lgamma": [0.5, 30],  # noqa: E501
    "digamma": [0.5, 30],
    "asin": [1.0, 0, -1],
    "acos": [1.0, 0, -1],
    "atanh": [0.0, 1],
    "erf_inv": [0.0, 0.99],
    "acosh": [1.0, 10],
    "abs": [-0.0, 0, INF],  # noqa: E501
}
for _name, _values in EDGES.items():
    case(_name, "edges", getattr(lax, _name), np.array(_values), smooth=False)

for _name in ("log2", "one_minus_square"):  # JAX 0.12
    if hasattr(lax, _name):
        case(_name, "smooth", getattr(lax, _name), positive(4))
        case(_name, "edges", getattr(lax, _name), np.array([0.0, 1, 2]), smooth=False)
if hasattr(lax, "polynomial"):
    case("polynomial", "cubic", lambda x, a, b, c, d: lax.polynomial(x, (a, b, c, d)), normal(3), *(normal(3) for _ in range(4)))
    case("polynomial", "scalar coefficients", lambda x, a, b: lax.polynomial(x, (a, b, 2.0)), normal(3), normal(), normal())

case("rem", "negative, and a scalar", lax.rem, np.array([-5.0, 4, 7.5]), np.array(2.0), smooth=False)
case("atan2", "on the axes", lax.atan2, np.array([0.0, 2, 0, -1]), np.array([1.0, 0, -3, 0]), smooth=False)
case("max", "a scalar that ties", lax.max, np.array([1.0, 2, 3]), np.array(2.0), smooth=False)
case("min", "a scalar that ties", lax.min, np.array([1.0, 2, 3]), np.array(2.0), smooth=False)
case("pow", "whole exponents", lambda x: lax.pow(x, np.array([0, 1, 2, 3, -2])), np.array([0.0, 0, -2, 1.5, -3]), smooth=False)
case("pow", "a scalar exponent", lambda x, p: x**p, positive(4), positive())
case("clamp", "scalar bounds", lambda x: lax.clamp(-0.5, x, 0.5), np.array([-0.5, 0.5, 0, 1, -1]), smooth=False)
case("select_n", "one predicate for all", lambda x, y: lax.select_n(np.array(True), x, y), normal(3), normal(3))
case("convert_element_type", "to a lower precision", lambda x: x.astype(jnp.bfloat16), np.array([0.5, 2, 3]))
case(
    "optimization_barrier", "integers between", lambda x, y: lax.optimization_barrier((x * x, jnp.arange(3), y))[::2], normal(3), normal(3)
)
case("optimization_barrier", "one of two", lambda x: lax.optimization_barrier((x * x, jnp.ones(3)))[0], normal(3))
case("copy", "alone", jnp.copy, normal(3))
case("reduce_precision", "half", lambda x: lax.reduce_precision(x, 5, 10), np.array([0.5, 2, -3]), smooth=False)
case("reduce_precision", "squared", lambda x: lax.reduce_precision(x * x, 8, 23), np.array([0.5, 2, -3]), smooth=False)
case("name", "kept", lambda x: checkpoint_name(x * x, "kept"), normal(3))
case("name", "two", lambda x, y: checkpoint_name(x * y, "a") * checkpoint_name(y, "b"), normal(3), normal(3))
case("stop_gradient", "one side", lambda x, y: x * lax.stop_gradient(y), normal(3), normal(3))

case("igamma", "both", lax.igamma, 0.5 + positive(4), positive(4), smooth=False)
case("igamma", "a scalar", lambda a, x: lax.igamma(a, x), np.array(1.5), positive(4), smooth=False)
case("igammac", "both", lax.igammac, 0.5 + positive(4), positive(4), smooth=False)
case("igammac", "a scalar", lambda a, x: lax.igammac(a, x), 0.5 + positive(4), np.array(0.7), smooth=False)
case("regularized_incomplete_beta", "in x", lambda x: lax.betainc(jnp.full_like(x, 1.5), jnp.full_like(x, 2.5), x), 0.5 + inside(4) / 2)
case(
    "regularized_incomplete_beta",
    "scalar shapes",
    lambda x: lax.betainc(jnp.ones_like(x[0]), 2 * jnp.ones_like(x[0]), x),
    0.5 + inside(4) / 2,
)
case("polygamma", "first", lambda x: lax.polygamma(jnp.ones_like(x), x), positive(4))
case("polygamma", "a scalar order", lambda x: lax.polygamma(2 * jnp.ones_like(x[0]), x), positive(4))

case("broadcast_in_dim", "in the middle", lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (0, 2)), normal(2, 4))
case("reshape", "of nothing", lambda x: jnp.reshape(x, (0, 6)), normal(2, 0, 3))
case("squeeze", "two", lambda x: jnp.squeeze(x, (0, -1)) ** 2, normal(1, 3, 1))
case("transpose", "of two", lambda x: x.T @ x, normal(2, 3))
case("rev", "one axis", lambda x: lax.rev(x, (1,)) * x, normal(2, 3))
case("concatenate", "three, one of them twice", lambda x, y: lax.concatenate([x, y, x], 0), normal(2, 3), normal(1, 3))
case("pad", "cut away", lambda x, v: lax.pad(x, v, [(-2, -1, 0)]), normal(5), normal())
case("slice", "to the end", lambda x: lax.slice(x, (2,), (7,)), normal(7))
case("split", "one piece unused", lambda x: lax.split(x, (2, 1, 2), 1)[1], normal(2, 5))
case("tile", "two axes", lambda x: jnp.tile(x, (2, 3)), normal(2, 3))
case("tile", "as often as it is long", lambda x: jnp.tile(x, (2, 2)), normal(2, 2))
case("tile", "more axes", lambda x: jnp.tile(x, (2, 1, 3)), normal(2, 3))
case("stack", "last axis", lambda x, y: jnp.stack([x, y, x], -1), normal(2, 3), normal(2, 3))
case("stack", "first axis", lambda x, y: jnp.stack([x, y]), normal(2, 3), normal(2, 3))
case("unstack", "an axis", lambda x: jnp.unstack(x, axis=1), normal(2, 3))
case("unstack", "one unused", lambda x: jnp.unstack(x)[1], normal(2, 3))

case("reduce_sum", "all", jnp.sum, normal(2, 3))
case("reduce_max", "smooth, two axes", lambda x: x.max((0, 2)), normal(2, 3, 2))
case("reduce_min", "smooth, all", jnp.min, normal(2, 3))
case("reduce_prod", "two axes, odd", lambda x: x.prod((0, 2)), normal(3, 2, 5))
for _name in ("cummax", "cummin"):
    case(_name, "smooth", lambda x, f=getattr(lax, _name): f(x, 1), normal(2, 7))
    case(_name, "ties", lambda x, f=getattr(lax, _name): f(x, 0), np.array([2.0, 1, 2, 2, 3, 3, 1, 3, 0, 0, 3, 3, 4]), smooth=False)
    case(_name, "ties in reverse", lambda x, f=getattr(lax, _name): f(x, 0, reverse=True), np.array([2.0, 2, 1, 1, 2, 3]), smooth=False)
case("cumprod", "one", lambda x: lax.cumprod(x, 0), normal(1, 3))
case("cumlogsumexp", "equal moderate neighbours", lambda x: lax.cumlogsumexp(x, 1), np.array([[0.5, 0.5, 1.0, 1.0, 1.0, -0.5, -0.5]]))
case("cumlogsumexp", "in reverse, ties", lambda x: lax.cumlogsumexp(x, 1, reverse=True), np.array([[0.0, 0, 700, -700, 700, 1]]))
case(
    "sort",
    "two keys and ties",
    lambda x, y: lax.sort((x, y, x * y), dimension=1, num_keys=2),
    np.array([[1.0, 0, 1, 0, 1]]),
    normal(1, 5),
)
case("sort", "descending", lambda x: jnp.sort(x, 0, descending=True), normal(4, 2))
case("top_k", "ties", lambda x: lax.top_k(x, 3)[0], np.array([[1.0, 3, 3, 2, 3]]), smooth=False)
case("top_k", "weighted", lambda x: lax.top_k(x * x, 1)[0], normal(3, 5))

case("gather", "batched places", lambda x: jax.vmap(lambda r, i: r[i])(x, np.array([[0, 0], [2, 1], [-1, 0]])), normal(3, 4))
case("gather", "windows", lambda x: jax.vmap(lambda i: lax.dynamic_slice(x, (i, i), (2, 3)))(np.array([0, 1, 5])), normal(4, 5))
case(
    "scatter-add",
    "batched places",
    lambda x, u: jax.vmap(lambda r, i, v: r.at[i].add(v))(x, np.array([[0, 0], [2, 1]]), u),
    normal(2, 4),
    normal(2, 2),
)
case(
    "scatter-add",
    "dropped and clipped",
    lambda x, u: x.at[np.array([1, 9])].add(u, mode="clip").at[9].add(u[0]),
    normal(4, 2),
    normal(2, 2),
)
case("scatter-sub", "repeated", lambda x, u: x.at[np.array([1, 1, 3])].subtract(u), normal(4, 2), normal(3, 2))
case("scatter-sub", "one place", lambda x, u: x.at[1, 0].subtract(u), normal(4, 2), normal())
case("scatter", "unique", lambda x, u: x.at[np.array([2, 0])].set(u, unique_indices=True), normal(4, 2), normal(2, 2))
case(
    "scatter",
    "batched places",
    lambda x, u: jax.vmap(lambda r, i, v: r.at[i].set(v))(x, np.array([[0, 0], [2, 1]]), u),
    normal(2, 4),
    normal(2, 2),
)
case("scatter-mul", "the operand only", lambda x: x.at[np.array([1, 1, 3])].multiply(np.array([[2.0], [3], [4]])), normal(4, 2))
for _name, _method in (("scatter-max", "max"), ("scatter-min", "min")):
    case(_name, "smooth", lambda x, u, m=_method: getattr(x.at[np.array([1, 3, 1])], m)(u), normal(4, 2), normal(3, 2))
    case(
        _name,
        "ties",
        lambda x, u, m=_method: getattr(x.at[np.array([1, 1, 0, 2])], m)(u),
        np.array([1.0, 2, 3, 4]),
        np.array([2.0, 2, 1, 5]),
        smooth=False,
    )
case("dynamic_slice", "from the end", lambda x: lax.dynamic_slice(x, (jnp.int32(-2),), (2,)) ** 2, normal(5))
case(
    "dynamic_update_slice",
    "clamped",
    lambda x, u: lax.dynamic_update_slice(x, u, (jnp.int32(3), jnp.int32(-1))),
    normal(4, 3),
    normal(2, 2),
)

case("dot_general", "vectors", lambda x, y: x @ y, normal(3), normal(3))
case("dot_general", "real and complex", lambda x, y: jnp.abs(x @ (y + 1j * y[::-1])), normal(2, 3), normal(3, 4))
case("dot_general", "complex and real", lambda x, y: jnp.abs((x + 1j * x[::-1]) @ y), normal(2, 3), normal(3, 4))
case("dot_general", "outer", lambda x, y: lax.dot_general(x, y, (((), ()), ((), ()))), normal(2), normal(3))
case(
    "dot_general",
    "precision and type",
    lambda x, y: lax.dot_general(x, y, (((0,), (1,)), ((), ())), precision=("highest", "default"), preferred_element_type=x.dtype),
    normal(3, 2),
    normal(4, 3),
)
case(
    "conv_general_dilated",
    "one dimension",
    conv(window_strides=(3,), padding=[(2, 0)], dimension_numbers=("NWC", "WIO", "NWC")),
    normal(2, 9, 3),
    normal(4, 3, 2),
)
case("conv_general_dilated", "three dimensions", conv(window_strides=(1, 2, 1)), normal(1, 2, 3, 4, 3), normal(2, 2, 2, 3, 2))
case(
    "conv_general_dilated",
    "groups, everything else",
    conv(
        window_strides=(2, 1),
        padding=[(1, 2), (0, 1)],
        lhs_dilation=(2, 1),
        rhs_dilation=(1, 2),
        feature_group_count=3,
        dimension_numbers=("CNHW", "HIWO", "HNCW"),
    ),
    normal(6, 2, 5, 6),
    normal(3, 2, 2, 9),
)
case(
    "conv_general_dilated",
    "batch groups, everything else",
    conv(
        window_strides=(2, 3),
        padding=[(1, 2), (0, 1)],
        rhs_dilation=(2, 1),
        batch_group_count=3,
        dimension_numbers=("NHWC", "OIHW", "NCHW"),
    ),  # noqa: E501
    normal(6, 7, 6, 2),
    normal(6, 2, 2, 3),
)

WINDOW = ((1, 3, 2), (1, 2, 1), ((0, 0), (1, 0), (0, 1)))
TIES = np.array([[[0.0, 1, 1, 0, 2], [1, 1, 1, 2, 2], [0, 0, 0, 0, 0], [3, 0, 3, 0, 3], [3, 3, 0, 1, 1], [0, 2, 2, 0, 1]]])


def max_pool(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, *WINDOW)


def min_pool(x, n):
    return lax.reduce_window(x, jnp.inf, lax.min, (n,), (1,), "VALID")


case(
    "reduce_window_sum",
    "both dilations",
    lambda x: lax.reduce_window(x, 0.0, lax.add, (2, 3), (2, 1), ((1, 0), (0, 2)), base_dilation=(2, 3), window_dilation=(1, 2)),
    normal(4, 3),
)
case("reduce_window_sum", "no window", lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 4), (1, 2), "VALID"), normal(2, 3))
case("reduce_window_max", "ties", max_pool, TIES, smooth=False)
case(
    "reduce_window_max",
    "base dilation",
    lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (3,), (2,), ((1, 1),), base_dilation=(2,)),
    normal(6),
    smooth=False,
)
case("reduce_window_min", "overlapping", lambda x: lax.reduce_window(x, jnp.inf, lax.min, *WINDOW), normal(2, 6, 5))
case("reduce_window_min", "ties", lambda x: lax.reduce_window(x, jnp.inf, lax.min, *WINDOW), TIES, smooth=False)
case("select_and_scatter_add", "max pool backward", lambda x, d: jax.vjp(max_pool, x)[1](d)[0], normal(2, 6, 5), normal(2, 3, 5))
# no ties: there JAX's gather and its scatter choose different elements; ours both take the first
case("select_and_scatter_add", "in one dimension", lambda x, d: jax.vjp(lambda x: min_pool(x, 3), x)[1](d)[0], normal(7), normal(5))
case("select_and_gather_add", "max pool tangent", lambda x, t: jax.jvp(max_pool, (x,), (t,))[1], normal(2, 6, 5), normal(2, 6, 5))
case("select_and_gather_add", "ties", lambda x, t: jax.jvp(max_pool, (x,), (t,))[1], TIES, normal(1, 6, 5), smooth=False)


# ---- complex numbers: of real arguments and results; all others are searched ----


def spectrum(x):
    return jnp.abs(jnp.fft.rfft(x)) ** 2


case("complex", "a product", lambda x, y: jnp.real(lax.complex(x, y) ** 2 * (2 - 1j)), normal(3), normal(3))
case("complex", "a quotient", lambda x, y: jnp.imag(lax.complex(x, y) / (2 - 1j + x)), positive(3), normal(3))
case("real", "of a wave", lambda x: jnp.real(jnp.exp(1j * x)), normal(3))
case("real", "of a power", lambda x: jnp.real((x + 0.5j) ** 2.5), positive(3))
case("imag", "of a wave", lambda x: jnp.imag(jnp.exp(1j * x)), normal(3))
case("imag", "of a logarithm", lambda x: jnp.imag(jnp.log(x + 0.5j)), normal(3))
case("conj", "of complex ones", lambda x: jnp.real(jnp.conj(x + 1j) * (x * 1j)), normal(3))
case("conj", "of real ones", lambda x: jnp.real(lax.conj(x) * (1 + 2j)), normal(3))
case("fft", "a spectrum", spectrum, normal(6))
case("fft", "an odd length", spectrum, normal(2, 5))
case("fft", "there and back", lambda x: jnp.fft.irfft2(jnp.fft.rfft2(x) * jnp.exp(0.3j)), normal(4, 5))

# ---- linear algebra ----


def definite(x):
    return x @ x.T + jnp.eye(3)


case("cholesky", "of a product", lambda x: jnp.linalg.cholesky(definite(x)), normal(3, 3))
case("cholesky", "upper", lambda x: jnp.linalg.cholesky(definite(x), upper=True), normal(3, 3))
case(
    "triangular_solve",
    "lower",
    lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True),
    normal(3, 3) + 3 * np.eye(3),
    normal(3, 2),
)
case(
    "triangular_solve",
    "transposed",
    lambda a, b: jax.scipy.linalg.solve_triangular(a, b, trans="T"),
    normal(3, 3) + 3 * np.eye(3),
    normal(3),
)
case("lu", "square", lambda x: lax.linalg.lu(x)[0], normal(3, 3) + 3 * np.eye(3))
case("lu", "tall", lambda x: jax.scipy.linalg.lu(x)[1:], normal(4, 3))
case("lu", "determinants", lambda x: (jnp.linalg.det(x), jnp.linalg.slogdet(x)[1]), normal(3, 3) + 3 * np.eye(3))
case("qr", "tall", lambda x: jnp.linalg.qr(x), normal(4, 3))
case("qr", "wide", lambda x: jnp.linalg.qr(x), normal(3, 4))
case("eigh", "of a product", lambda x: jnp.linalg.eigh(definite(x) + jnp.diag(jnp.array([0.0, 3, 7]))), normal(3, 3))
case("eigh", "values", lambda x: jnp.linalg.eigvalsh(definite(x)), normal(3, 3))
case("svd", "thin", lambda x: jnp.linalg.svd(x, full_matrices=False), normal(4, 3))
case("svd", "values", lambda x: jnp.linalg.svd(x, compute_uv=False), normal(3, 4))
case("eig", "sizes of values", lambda x: jnp.abs(jnp.linalg.eigvals(x)), normal(3, 3), smooth=False)
case("eig", "values", lambda x: jnp.real(jnp.linalg.eigvals(x) ** 2).sum(), normal(3, 3))
case(
    "tridiagonal_solve",
    "one",
    lambda d, b: lax.linalg.tridiagonal_solve(jnp.ones_like(d), d, jnp.ones_like(d), b),
    positive(4) + 3,
    normal(4, 2),
)
case(
    "tridiagonal_solve",
    "all",
    lambda a, d, c, b: lax.linalg.tridiagonal_solve(a, d, c, b),
    normal(4),
    positive(4) + 3,
    normal(4),
    normal(4, 2),
)

# ---- the rest ----
key = jax.random.key(5)
case("random_gamma", "gamma", lambda a: jax.random.gamma(key, a, dtype=a.dtype), positive(3), smooth=False)
case("random_gamma", "its logarithm", lambda a: jax.random.loggamma(key, a, dtype=a.dtype), positive(3), smooth=False)
case("ragged_dot_general", "experts", lambda a, b: lax.ragged_dot(a, b, np.array([2, 0, 3])), normal(5, 2), normal(3, 2, 4))
case("ragged_dot_general", "rows of no expert", lambda a, b: lax.ragged_dot(a, b, np.array([2, 1])), normal(5, 2), normal(2, 2, 3))
case("reduce", "a product", lambda x: lax.reduce(x, np.ones((), x.dtype), lambda a, b: a * b, (0,)), normal(5, 2))
case(
    "reduce",
    "two at once",
    lambda x, y: lax.reduce((x, y), (0.0, 1.0), lambda a, b: (a[0] + b[0], a[1] * b[1]), (1,)),
    normal(2, 3),
    normal(2, 3),
)
case("approx_top_k", "largest", lambda x: lax.approx_max_k(x, 2)[0], normal(2, 5))
case("approx_top_k", "smallest", lambda x: lax.approx_min_k(x, 2, reduction_dimension=0)[0], normal(5, 2))
