"""For each primitive: how to draw one use of it, a function and its arguments, from everything that its signature allows."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from jax import lax

SEARCHES = {}  # primitive: a function of hypothesis's `data`, which returns a function and its arguments
INDICES = [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64]
FLOATS = [np.float32, jnp.bfloat16, np.float16, np.float64]
COMPLEX = [np.complex64, np.complex128]


def search(*names):
    """The decorated function draws a use of each of these primitives; with several of them, it is told which."""

    def register(draw):
        for name in names:
            SEARCHES[name] = draw if len(names) == 1 else lambda data, name=name: draw(data, name)

    return register


def normal(seed, shape, dtype, values=lambda x: x):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    return np.asarray(values(x + 1j * rng.normal(size=shape) if np.issubdtype(dtype, np.complexfloating) else x), dtype)


class Draw:
    """What hypothesis draws, by short names."""

    def __init__(self, data):
        self.data, self.count = data, 0

    def one_of(self, *choices):
        return self.data.draw(st.sampled_from(choices))

    def number(self, low, high):
        return self.data.draw(st.integers(low, high))

    def numbers(self, count, low, high):
        return [self.number(low, high) for _ in range(count)]

    def dtype(self):
        return self.one_of(*FLOATS, *COMPLEX)

    def order(self, count):
        return tuple(self.data.draw(st.permutations(range(count))))

    def shape(self, low=0, rank=None):
        return self.numbers(self.number(0, 3) if rank is None else rank, low, 4)

    def array(self, shape, dtype=None, values=lambda x: x):
        """Seeded by what was drawn before, so that no two arrays of an example are alike."""
        self.count += 1
        return normal(self.count, shape, self.dtype() if dtype is None else dtype, values)

    def index(self, shape, beyond):
        """Indices from below -`beyond` to above it, in any type of integers."""
        dtype = self.one_of(*INDICES)
        low = 0 if np.issubdtype(dtype, np.unsignedinteger) else -2 * beyond - 1
        return np.asarray([self.number(low, 2 * beyond + 1) for _ in range(int(np.prod(shape)))], dtype).reshape(shape)


def positive(x):
    """Away from 0; of complex numbers, on the right."""
    return np.abs(np.real(x)) + 0.5 + 1j * np.imag(x) if np.iscomplexobj(x) else np.abs(x) + 0.5


def inside(x):
    return np.tanh(x) * 0.9


DOMAINS = dict.fromkeys("log log2 sqrt rsqrt lgamma digamma".split(), positive)
DOMAINS |= dict.fromkeys("asin acos atanh erf_inv one_minus_square".split(), inside)
DOMAINS |= {"acosh": lambda x: positive(x) + 1, "log1p": inside, "tan": inside}
UNARY = (
    "abs acos acosh asin asinh atan atanh bessel_i0e bessel_i1e cbrt cos cosh digamma erf erf_inv erfc exp exp2 expm1 lgamma log log1p "
    "log2 logistic neg rsqrt sin sinh sqrt square tan tanh"
).split()


@search(*UNARY)
def _(data, name):
    d = Draw(data)
    f = getattr(lax, name)
    accuracy = (
        d.one_of(None, lax.AccuracyMode.DEFAULT)
        if name in "cos exp exp2 expm1 log log1p logistic rsqrt sin sqrt tan tanh cbrt".split()
        else None
    )
    return (lambda x: f(x, accuracy=accuracy)) if accuracy else f, d.array(d.shape(), values=DOMAINS.get(name, lambda x: x))


BINARY = "add atan2 div max min mul pow rem sub igamma igammac polygamma".split()


@search(*BINARY)
def _(data, name):
    d = Draw(data)
    shape, dtype = d.shape(), d.dtype()
    if name == "mul" and d.one_of(True, False):
        wanted, kinds = d.one_of(*FLOATS), FLOATS
        if d.one_of(True, False):
            wanted, kinds = d.one_of(*COMPLEX), COMPLEX  # XLA itself breaks off where real and complex ones meet
        return lambda x, y: lax.mul(x, y, out_dtype=wanted), *(d.array(shape, d.one_of(*kinds)) for _ in range(2))
    if name == "pow" and d.one_of(True, False):
        exponent = d.index(shape, 3)
        return lambda x: lax.pow(x, exponent), d.array(shape, dtype, positive)
    x = d.array(d.one_of((), shape), dtype, positive)
    y = np.asarray(d.one_of(2.0, 3.0), dtype) if name == "polygamma" else d.array(shape, dtype, positive)
    if name == "polygamma":
        return lambda x: lax.polygamma(jnp.full(x.shape, y), x), x
    if name.startswith("igamma"):
        return lambda y: getattr(lax, name)(jnp.full(y.shape, 1.5, y.dtype), y), y
    return getattr(lax, name), *((x, y) if d.one_of(True, False) else (y, x))


@search("regularized_incomplete_beta")
def _(data):
    d = Draw(data)
    shape, dtype = d.shape(), d.one_of(np.float32, np.float64)
    a, b = (d.array(shape, dtype, positive) for _ in range(2))
    return lambda x: lax.betainc(a, b, x), d.array(shape, dtype, lambda x: np.abs(inside(x)))


@search("integer_pow")
def _(data):
    d = Draw(data)
    y = d.number(-4, 6)
    return lambda x: lax.integer_pow(x, y), d.array(d.shape(), values=positive if y < 0 else lambda x: x)


@search("real", "imag", "conj", "complex")
def _(data, name):
    d = Draw(data)
    shape, dtype = d.shape(), d.dtype()
    return getattr(lax, name), *(d.array(shape, dtype) for _ in range(2 if name == "complex" else 1))


@search("fft")
def _(data):
    d = Draw(data)
    kind, count = d.one_of("fft", "ifft", "rfft", "irfft"), d.number(1, 3)
    lengths = tuple(d.numbers(count, 1, 5))
    shape = [*d.numbers(d.number(0, 1), 1, 3), *lengths]
    if kind == "irfft":
        shape[-1] = lengths[-1] // 2 + 1
    return lambda x: lax.fft(x, kind, lengths), d.array(shape, d.one_of(np.float32, np.float64) if kind == "rfft" else d.one_of(*COMPLEX))


@search("convert_element_type")
def _(data):
    d = Draw(data)
    bind = lax.convert_element_type_p.bind  # lax.convert_element_type warns of imaginary parts
    kind, is_weak = d.one_of(*FLOATS, *COMPLEX, *INDICES, bool), d.one_of(True, False)
    return lambda x: bind(x, new_dtype=np.dtype(kind), weak_type=is_weak, sharding=None), d.array(d.shape())


@search("reduce_precision")
def _(data):
    d = Draw(data)
    exponent, mantissa = d.number(4, 8), d.number(2, 10)
    return lambda x: lax.reduce_precision(x, exponent, mantissa), d.array(d.shape())


@search("copy")
def _(data):
    d = Draw(data)
    return lambda x: jnp.copy(x), d.array(d.shape())


@search("optimization_barrier")
def _(data):
    d = Draw(data)
    return lambda x, y: lax.optimization_barrier((x, y, x)), d.array(d.shape()), d.array(d.shape())


@search("reduce_sum", "reduce_prod", "reduce_max", "reduce_min")
def _(data, name):
    d = Draw(data)
    shape = d.shape(low=0 if name in ("reduce_sum", "reduce_prod") else 1)
    axes = tuple(i for i in range(len(shape)) if d.one_of(True, False))
    ties = d.one_of(True, False)
    return lambda x: getattr(lax, name)(x, axes), d.array(shape, values=np.round if ties else lambda x: x)


@search("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
def _(data, name):
    d = Draw(data)
    shape = d.shape(rank=2)
    axis, reverse = d.number(0, 1), d.one_of(True, False)
    return lambda x: getattr(lax, name)(x, axis=axis, reverse=reverse), d.array(shape)


@search("broadcast_in_dim")
def _(data):
    d = Draw(data)
    shape = d.shape(rank=3)
    kept = sorted(data.draw(st.sets(st.integers(0, 2))))
    mine = [d.one_of(1, shape[i]) for i in kept]
    return lambda x: lax.broadcast_in_dim(x, shape, kept), d.array(mine)


@search("reshape")
def _(data):
    d = Draw(data)
    shape = d.shape(rank=3)
    order = d.one_of(None, d.order(3))
    return lambda x: lax.reshape(x, (shape[0] * shape[1], shape[2], 1), order), d.array(
        shape if order is None else [shape[order.index(i)] for i in range(3)]
    )


@search("transpose")
def _(data):
    d = Draw(data)
    order = d.order(3)
    return lambda x: lax.transpose(x, order), d.array(d.shape(rank=3))


@search("squeeze")
def _(data):
    d = Draw(data)
    axes = sorted(data.draw(st.sets(st.integers(0, 2))))
    return lambda x: lax.squeeze(x, axes), d.array([1 if i in axes else n for i, n in enumerate(d.shape(rank=3))])


@search("rev")
def _(data):
    d = Draw(data)
    axes = sorted(data.draw(st.sets(st.integers(0, 2))))
    return lambda x: lax.rev(x, axes), d.array(d.shape(rank=3))


@search("concatenate")
def _(data):
    d = Draw(data)
    shape, axis, dtype = d.shape(rank=2), d.number(0, 1), d.dtype()
    sizes = d.numbers(d.number(1, 4), 0, 3)
    return lambda *xs: lax.concatenate(xs, axis), *(d.array([n if i == axis else m for i, m in enumerate(shape)], dtype) for n in sizes)


@search("split")
def _(data):
    d = Draw(data)
    shape, axis = d.shape(rank=2), d.number(0, 1)
    sizes = d.numbers(d.number(1, 4), 0, 3)
    return lambda x: lax.split(x, sizes, axis), d.array([sum(sizes) if i == axis else n for i, n in enumerate(shape)])


@search("tile")
def _(data):
    d = Draw(data)
    shape = d.shape(rank=2)
    times = d.numbers(2, 0, 3)
    return lambda x: lax.tile(x, times), d.array(shape)


@search("stack", "unstack")
def _(data, name):
    d = Draw(data)
    shape, axis, dtype = d.shape(rank=2, low=1), d.number(0, 1), d.dtype()
    if name == "stack":
        return lambda *xs: jnp.stack(xs, axis), *(d.array(shape, dtype) for _ in range(d.number(1, 3)))
    return lambda x: jnp.unstack(x, axis=axis), d.array(shape, dtype)


@search("pad")
def _(data):
    d = Draw(data)
    shape, dtype = d.shape(rank=2), d.dtype()
    config = [(d.number(-3, 3), d.number(-3, 3), d.number(0, 2)) for _ in shape]
    return lambda x, v: lax.pad(x, v, config), d.array(shape, dtype), d.array((), dtype)


@search("slice")
def _(data):
    d = Draw(data)
    shape = d.shape(rank=2)
    start = [d.number(0, n) for n in shape]
    stop = [d.number(s, n) for s, n in zip(start, shape)]
    strides = d.one_of(None, d.numbers(2, 1, 3))
    return lambda x: lax.slice(x, start, stop, strides), d.array(shape)


@search("dynamic_slice", "dynamic_update_slice")
def _(data, name):
    d = Draw(data)
    shape, dtype = d.shape(low=1), d.dtype()
    assume(shape)
    sizes = [d.number(0, n) for n in shape]
    start = list(d.index(len(shape), 5))
    below = d.one_of(True, False) if d.one_of(True, False) else tuple(d.one_of(True, False) for _ in shape)
    if name == "dynamic_slice":
        return lambda x: lax.dynamic_slice(x, start, sizes, allow_negative_indices=below), d.array(shape, dtype)
    f = lambda x, u: lax.dynamic_update_slice(x, u, start, allow_negative_indices=below)
    return f, d.array(shape, dtype), d.array(sizes, dtype)


MODES = ["clip", "fill", "promise_in_bounds"]


def declared(d, rows, width, mode):
    """What may be said of such rows of indices, said or not: that none comes twice, that they rise."""
    is_unique = width <= 1 and mode != "clip" and all(len(set(row)) == len(row) for row in rows.tolist())
    is_sorted = bool((np.diff(rows.astype(np.int64)) >= 0).all())
    return dict(unique_indices=is_unique and d.one_of(True, False), indices_are_sorted=is_sorted and d.one_of(True, False))


@search("gather")
def _(data):
    d = Draw(data)
    n, width, count = d.number(1, 4), d.number(1, 4), d.number(0, 4)
    is_batched = d.one_of(True, False)
    window = (1 if is_batched else d.number(0, n)), d.number(0, width)
    collapsed = (0,) if not is_batched and window[0] == 1 and d.one_of(True, False) else ()
    mode, fill = d.one_of(*MODES), d.one_of(None, 0, 7)
    if is_batched:  # the first axis of the operand goes with that of the indices
        at = d.index((n, count, 1), width)
        if mode == "promise_in_bounds":
            at = np.clip(at, 0, width - window[1]).astype(at.dtype)
        numbers = lax.GatherDimensionNumbers((2,), (), (1,), operand_batching_dims=(0,), start_indices_batching_dims=(0,))
    else:
        at = d.index((count, 1), n)
        if mode == "promise_in_bounds":
            at = np.clip(at, 0, n - window[0]).astype(at.dtype)
        numbers = lax.GatherDimensionNumbers(tuple(range(1, 3 - len(collapsed))), collapsed, (0,))
    options = dict(mode=mode, fill_value=fill, **declared(d, at.reshape(n if is_batched else 1, count), window[is_batched], mode))
    return lambda x: lax.gather(x, at, numbers, window, **options), d.array((n, width))


SCATTERS = {"scatter": "scatter", **{f"scatter-{of}": f"scatter_{of}" for of in "add sub mul min max".split()}}


@search(*SCATTERS)
def _(data, name):
    d = Draw(data)
    n, width, count, dtype = d.number(1, 4), d.number(1, 4), d.number(0, 4), d.dtype()
    window = d.number(1, n), d.number(1, width)
    inserted = (0,) if window[0] == 1 and d.one_of(True, False) else ()
    mode, at = d.one_of(*MODES), d.index((count, 1), n)
    if mode == "promise_in_bounds":
        at = np.clip(at, 0, n - window[0]).astype(at.dtype)
    numbers = lax.ScatterDimensionNumbers(tuple(range(1, 3 - len(inserted))), inserted, (0,))
    options = dict(mode=mode, **declared(d, at.reshape(1, count), window[0], mode))
    if name in ("scatter-min", "scatter-max") and mode == "clip":
        assume(False)  # JAX's own gradient is wrong for a window that was moved (see test_primitives)
    x, u = d.array((n, width), dtype), d.array((count, *window[len(inserted) :]), dtype)
    f = lambda x, u: getattr(lax, SCATTERS[name])(x, at, u, numbers, **options)
    both = name != "scatter-mul" or options["unique_indices"]  # the derivative by the factors, JAX has for unique places alone
    return (f, x, u) if both else (lambda x: f(x, u), x)


@search("conv_general_dilated")
def _(data):
    d = Draw(data)
    spatial = d.number(0, 2)
    groups, batches = d.one_of((1, 1), (2, 1), (1, 2))
    strides, x_dilation, k_dilation = d.numbers(spatial, 1, 3), d.numbers(spatial, 1, 3), d.numbers(spatial, 1, 2)
    padding = [(d.number(-2, 3), d.number(-2, 3)) for _ in range(spatial)]
    dtype, wanted, precision = d.dtype(), d.one_of(None, np.float32, np.float64), d.one_of(None, "highest", ("default", "highest"))
    orders = d.order(2 + spatial), d.order(2 + spatial), d.order(2 + spatial)
    specs = ["".join("NCHW"[i] for i in orders[0]), "".join("OIHW"[i] for i in orders[1]), "".join("NCHW"[i] for i in orders[2])]
    x = d.array([2 * batches, 2 * groups, *d.numbers(spatial, 0, 6)], dtype).transpose(orders[0])
    k = d.array([2 * groups * batches, 2, *d.numbers(spatial, 1, 3)], dtype).transpose(orders[1])
    options = dict(dimension_numbers=specs, feature_group_count=groups, batch_group_count=batches)
    options |= dict(preferred_element_type=wanted, precision=precision)
    return lambda x, k: lax.conv_general_dilated(x, k, strides, padding, x_dilation, k_dilation, **options), x, k


@search("dot_general")
def _(data):
    d = Draw(data)
    b, m, n, c, e = d.numbers(5, 0, 4)
    wanted, precision = d.one_of(None, np.float32, np.float64), d.one_of(None, "highest", ("default", "highest"))
    orders = d.order(4), d.order(4)
    x, y = d.array((b, m, c, e)).transpose(orders[0]), d.array((b, c, e, n)).transpose(orders[1])
    swap = (0, 1) if d.one_of(True, False) else (1, 0)
    contracted = [orders[0].index((2, 3)[i]) for i in swap], [orders[1].index((1, 2)[i]) for i in swap]
    numbers = contracted, ([orders[0].index(0)], [orders[1].index(0)])
    return lambda x, y: lax.dot_general(x, y, numbers, precision=precision, preferred_element_type=wanted), x, y


@search("select_n")
def _(data):
    d = Draw(data)
    shape, dtype = d.shape(), d.dtype()
    count = d.number(1, 4)
    which = d.index(d.one_of((), shape), 0) % count
    which = which.astype(bool) if count == 2 and d.one_of(True, False) else which.astype(np.int32)
    return lambda *xs: lax.select_n(which, *xs), *(d.array(shape, dtype) for _ in range(count))


@search("clamp")
def _(data):
    d = Draw(data)
    shape, dtype = d.shape(), d.dtype()
    low, high = d.array(d.one_of((), shape), dtype, lambda x: -np.abs(x)), d.array(d.one_of((), shape), dtype, np.abs)
    return lax.clamp, low, d.array(shape, dtype), high


@search("sort")
def _(data):
    d = Draw(data)
    shape, axis = d.shape(rank=2), d.number(0, 1)
    count = d.number(1, 3)
    keys, is_stable = d.number(1, count), d.one_of(True, False)
    f = lambda *xs: lax.sort(xs, dimension=axis, is_stable=is_stable, num_keys=keys)
    return f, *(d.array(shape) for _ in range(count))


@search("top_k")
def _(data):
    d = Draw(data)
    shape = d.shape(rank=2)
    axis = d.number(0, 1)
    k = d.number(0, shape[axis])
    return lambda x: lax.top_k(x, k, axis=axis), d.array(shape)


WINDOWS = {"reduce_window_sum": (0.0, lax.add), "reduce_window_max": (-np.inf, lax.max), "reduce_window_min": (np.inf, lax.min)}


@search(*WINDOWS)
def _(data, name):
    d = Draw(data)
    shape, dtype = d.numbers(2, 0, 6), d.one_of(*FLOATS, *(COMPLEX if name == "reduce_window_sum" else []))
    window, strides, dilation, base = d.numbers(2, 1, 3), d.numbers(2, 1, 3), d.numbers(2, 1, 2), d.numbers(2, 1, 2)
    padding = [(d.number(0, 2), d.number(0, 2)) for _ in shape]
    first, f = WINDOWS[name]
    return lambda x: lax.reduce_window(x, np.asarray(first, dtype), f, window, strides, padding, base, dilation), d.array(shape, dtype)


# ---- linear algebra: in 64 bits, since what is amplified by a matrix is not a rounding of the result ----


def batched(d, *shape):
    return (*d.numbers(d.number(0, 1), 1, 2), *shape)


def matrices(d, n, well=True):
    """Square, along a batch; with a heavy diagonal, so that nothing is nearly singular."""
    x = d.array(batched(d, n, n), d.one_of(np.float64, np.complex128))
    return x + 4 * np.eye(n) if well else x


def hermitian(x):
    return x @ x.conj().swapaxes(-1, -2) + np.eye(x.shape[-1])


@search("cholesky")
def _(data):
    d = Draw(data)
    return lax.linalg.cholesky, hermitian(matrices(d, d.number(1, 4)))


@search("triangular_solve")
def _(data):
    d = Draw(data)
    a = matrices(d, d.number(1, 4))
    options = {name: d.one_of(True, False) for name in ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")}
    n, m = a.shape[-1], d.number(1, 4)
    b = d.array((*a.shape[:-2], *((n, m) if options["left_side"] else (m, n))), a.dtype)
    return lambda a, b: lax.linalg.triangular_solve(a, b, **options), a, b


@search("lu")
def _(data):
    d = Draw(data)
    return lax.linalg.lu, d.array(batched(d, d.number(1, 4), d.number(1, 4)), d.one_of(np.float64, np.complex128))


@search("qr")
def _(data):
    d = Draw(data)
    full, m, n = d.one_of(True, False), d.number(1, 4), d.number(1, 4)
    shape, pivoting = (*d.numbers(d.number(0, 1), 1, 2), m, n), d.one_of(True, False)
    if pivoting:  # JAX has no gradient for a batch, and a wrong one for wide matrices (see test_decompositions)
        shape = shape[-2:]
        assume(m >= n)
    options = dict(pivoting=pivoting, full_matrices=full, use_magma=d.one_of(None, False))
    return lambda x: lax.linalg.qr(x, **options), d.array(shape, d.one_of(np.float64, np.complex128))


@search("eigh")
def _(data):
    d = Draw(data)
    a = hermitian(matrices(d, d.number(1, 4), well=False))
    options = dict(lower=d.one_of(True, False), sort_eigenvalues=d.one_of(True, False))
    options |= dict(subset_by_index=d.one_of(None, (0, a.shape[-1])))  # JAX has a gradient of the whole alone
    options |= dict(implementation=d.one_of(None, lax.linalg.EighImplementation.QR))
    return lambda x: lax.linalg.eigh(x, **options), a


@search("svd")
def _(data):
    d = Draw(data)
    m, n, full, vectors = d.number(1, 4), d.number(1, 4), d.one_of(True, False), d.one_of(True, False)
    algorithm = d.one_of(None, lax.linalg.SvdAlgorithm.DEFAULT, lax.linalg.SvdAlgorithm.QR)
    options = dict(full_matrices=full, compute_uv=vectors, algorithm=algorithm, subset_by_index=d.one_of(None, (0, min(m, n))))
    return lambda x: lax.linalg.svd(x, **options), d.array(batched(d, m, n), d.one_of(np.float64, np.complex128))


@search("eig")
def _(data):
    d = Draw(data)
    left, right, differentiable = (d.one_of(True, False) for _ in range(3))
    options = dict(compute_left_eigenvectors=left, compute_right_eigenvectors=right, enable_eigvec_derivs=differentiable)
    options |= dict(implementation=d.one_of(None, lax.linalg.EigImplementation.LAPACK))
    return lambda x: lax.linalg.eig(x, **options), matrices(d, d.number(1, 4), well=False)


@search("tridiagonal_solve")
def _(data):
    d = Draw(data)
    n, batch, dtype = d.number(3, 5), batched(d), d.one_of(np.float64, np.complex128)
    low, middle, high = (d.array((*batch, n), dtype) for _ in range(3))
    perturbed, b = d.one_of(True, False), d.array((*batch, n, d.number(1, 3)), dtype)
    return lambda *args: lax.linalg.tridiagonal_solve(*args, perturb_singular=perturbed), low, middle + 5, high, b


# ---- the rest ----


@search("random_gamma")
def _(data):
    d = Draw(data)
    f = d.one_of(jax.random.gamma, jax.random.loggamma)
    shape = d.shape()
    return lambda a: f(jax.random.key(3), a, shape, a.dtype), d.array(shape, d.one_of(np.float32, np.float64), positive)


@search("ragged_dot_general")
def _(data):
    d = Draw(data)
    groups, k, m = d.number(1, 3), d.number(1, 4), d.number(1, 4)
    sizes = np.asarray(d.numbers(groups, 0, 3), np.int32)
    rows, dtype = int(sizes.sum()) + d.number(0, 2), d.one_of(np.float32, np.float64)  # some rows may belong to no group
    options = dict(precision=d.one_of(None, "highest"), preferred_element_type=d.one_of(None, np.float64))
    return lambda a, b: lax.ragged_dot(a, b, sizes, **options), d.array((rows, k), dtype), d.array((groups, k, m), dtype)


@search("approx_top_k")
def _(data):
    d = Draw(data)
    shape = d.numbers(2, 1, 4)
    axis, f = d.number(0, 1), d.one_of(lax.approx_max_k, lax.approx_min_k)
    k, recall, whole = d.number(1, shape[axis]), d.one_of(0.9, 0.95), d.one_of(True, False)
    size = d.one_of(-1, shape[axis])
    f_k = lambda x: f(x, k, axis, recall, reduction_input_size_override=size, aggregate_to_topk=whole)
    return f_k, d.array(shape, d.one_of(np.float32, np.float64))


REDUCERS = [lambda x, y: x * y, lambda x, y: x + y + x * y, lambda x, y: jnp.logaddexp(x, y)]


@search("reduce")
def _(data):
    d = Draw(data)
    f, first = d.one_of(*zip(REDUCERS, (1.0, 0.0, -np.inf)))
    axes, dtype = tuple(i for i in range(3) if d.one_of(True, False)), d.one_of(np.float64, np.float32)
    return lambda x: lax.reduce(x, np.asarray(first, dtype), f, axes), d.array(d.shape(rank=3, low=1), dtype)
