"""Examples of every public function of JAX that has a derivative, and the reason why the others have none."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

CASES = {}  # the function's name, without "jax.": its examples
REFUSED = {}  # the same, where jax.vjp raises
UNLIKE = {}  # the same, where jax.vjp is wrong or raises, and finite differences are with bpjax
IS_OLD = jax.__version_info__ < (0, 12)
REFUSED_ONCE, WRONG_ONCE, WRONG_NOW = (REFUSED, UNLIKE, CASES) if IS_OLD else (CASES, CASES, UNLIKE)
_rng = np.random.default_rng(5)


def normal(*shape):
    return _rng.normal(size=shape)


def positive(*shape):
    return _rng.uniform(0.4, 2.0, size=shape)


def between(low, high, *shape):
    return _rng.uniform(low, high, size=shape)


def complexes(*shape):
    return normal(*shape) + 1j * normal(*shape)


def case(module, names, *args, call=None, into=CASES, **options):
    """An example for each of these functions: what among its arguments holds arrays of NumPy's is differentiated, the rest is as it is.

    `call` takes the function and those arguments, where the function alone would not do.
    """
    for name in names.split():
        into.setdefault(f"{module}.{name}", []).append((call, args, options))


X, Y, ROW, V, W = normal(2, 3), normal(2, 3), normal(3), normal(5), normal(4)
P, Q, ROW_P = positive(2, 3), positive(2, 3), positive(3)
UNIT, INSIDE = between(0.1, 0.9, 2, 3), between(-0.8, 0.8, 2, 3)
Z, Z2, Z_ROW = complexes(2, 3), complexes(2, 3), complexes(3)
S, S2, CUBE = normal(3, 3), normal(3, 3), normal(2, 3, 4)
WELL = S + 4 * np.eye(3)
Z_WELL = complexes(3, 3) + 4 * np.eye(3)
DEFINITE, HERMITIAN = S @ S.T + np.eye(3), Z_WELL @ Z_WELL.conj().T
GAPS = np.where(np.eye(2, 3), np.nan, X)
MASK = np.array([[True, False, True], [True, True, False]])
PLACES = np.array([2, 0, 2])

# ---- jax.numpy, number by number ----

for _x in (X, Z):
    case("numpy", "abs absolute arcsinh asinh arctan atan conj conjugate copy cos cosh exp exp2 expm1 negative nan_to_num", _x)
    case("numpy", "positive real sin sinc sinh square tan tanh", _x)
for _x in (P, Z):
    case("numpy", "log log10 log1p log2 sqrt reciprocal", _x)
for _x in (INSIDE, Z):
    case("numpy", "arccos acos arcsin asin arctanh atanh", _x)
for _x in (P + 1.5, Z):
    case("numpy", "arccosh acosh", _x, into=WRONG_ONCE if _x is Z else CASES)
case("numpy", "cbrt deg2rad degrees fabs i0 modf rad2deg radians unwrap", X)
case("numpy", "angle imag", Z)
case("numpy", "angle", Z, deg=True)
case("numpy", "nan_to_num", np.array([np.nan, 1.0, np.inf, -np.inf]))
case("numpy", "unwrap", 5 * X, axis=0)
case("numpy", "unwrap", 5 * V, discont=4.0, period=5.0)
case("numpy", "ceil floor rint sign trunc round around", X)
case("numpy", "spacing", X, into=REFUSED_ONCE)
case("numpy", "round around", X, 1)
case("numpy", "sign", Z, into=WRONG_ONCE)
case("numpy", "astype", X, "float32")
case("numpy", "astype", X, complex)
case("numpy", "frexp", X)
case("numpy", "ldexp", X, PLACES)
case("numpy", "clip", X, -0.5 * ROW_P, 0.5 * ROW_P)
case("numpy", "clip", X, min=0.1)
case("numpy", "clip", np.array([-1.0, 0, 0.5, 1, 2]), np.zeros(5), np.ones(5))

BOTH = "add subtract multiply divide true_divide maximum minimum logaddexp logaddexp2"
case("numpy", BOTH + " fmax fmin hypot arctan2 atan2 copysign", X, ROW)
case("numpy", BOTH.replace(" maximum minimum", ""), Z, Z_ROW)
case("numpy", "maximum minimum", Z, Z_ROW, into=WRONG_NOW)
case("numpy", "maximum minimum fmax fmin", np.array([1.0, 2, 3]), np.array([3.0, 2, 1]))
case("numpy", "fmax fmin maximum minimum", GAPS, ROW)
case("numpy", "fmod mod remainder divmod floor_divide", 5 * X, ROW_P)
case("numpy", "power pow float_power", P, ROW)
case("numpy", "power pow float_power", Z, Z_ROW)
case("numpy", "power pow", X, PLACES)
case("numpy", "power pow", X, 3)
case("numpy", "float_power", X, 3)
case("numpy", "heaviside", np.array([-1.0, 0, 1]), ROW)
case("numpy", "nextafter", X, Y, into=REFUSED_ONCE)
case("numpy", "add multiply maximum minimum logaddexp", X, call=lambda f, x: f.reduce(x, axis=1))
case("numpy", "add multiply", X, call=lambda f, x: f.accumulate(x, axis=1))
case("numpy", "add multiply subtract", V, W, call=lambda f, x, y: f.outer(x, y))
case("numpy", "add multiply", V, call=lambda f, x: f.reduceat(x, jnp.array([0, 3])))
case("numpy", "add", V, ROW, call=lambda f, x, y: f.at(x, PLACES, y, inplace=False))
case("numpy", "where", MASK, X, ROW)
case("numpy", "ndarray", X, ROW_P, call=lambda _, x, y: jnp.asarray(x).at[:, PLACES].set(y))
case("numpy", "ndarray", X, ROW_P, call=lambda _, x, y: jnp.asarray(x).at[:, PLACES].add(y))
case("numpy", "ndarray", X, ROW_P, call=lambda _, x, y: jnp.asarray(x).at[:, PLACES].max(y))
case("numpy", "ndarray", X, ROW_P, call=lambda _, x, y: jnp.asarray(x).at[:, ::2].multiply(y[:2], unique_indices=True))
case("numpy", "ndarray", X, ROW_P, call=lambda _, x, y: jnp.asarray(x).at[1, -1].divide(y[0], unique_indices=True))
case("numpy", "ndarray", P, ROW_P, call=lambda _, x, y: jnp.asarray(x).at[1, -1].power(y[0]))
case("numpy", "ndarray", X, call=lambda _, x: jnp.asarray(x).at[np.array([0, 4])].get(mode="fill", fill_value=2.0))
case("numpy", "select", [MASK, ~MASK], [X, Y], 0.5)
case("numpy", "choose", PLACES, [ROW, ROW_P, V[:3]], mode="clip")
case("numpy", "piecewise", X, [MASK, ~MASK], [jnp.sin, jnp.exp])

# ---- reductions ----

REDUCED = "sum mean prod std var max min amax amin ptp median nanmax nanmin nanmean nanmedian nanprod nanstd nansum nanvar"
case("numpy", REDUCED, X)
case("numpy", REDUCED, X, axis=1, keepdims=True)
case("numpy", "sum prod max min amax amin nanmax nanmin nanprod nansum", X, axis=0, where=MASK, initial=0.3)
case("numpy", "nanmax nanmin nanmean nanmedian nanprod nanstd nansum nanvar nancumsum nancumprod", GAPS, axis=1)
case("numpy", "mean std var nanmean nanstd nanvar", X, where=MASK)
case("numpy", "std var", Z, ddof=1)
case("numpy", "sum mean prod cumsum cumprod", Z, axis=1)
case("numpy", "max min ptp minmax", np.array([[1.0, 3, 3], [2, 2, 2]]), axis=1)
case("numpy", "cumsum cumprod nancumsum nancumprod", X)
case("numpy", "cumsum cumprod cumulative_sum cumulative_prod", X, axis=1)
case("numpy", "cumulative_sum cumulative_prod", X, axis=0, include_initial=True)
case("numpy", "average", X, ROW_P, call=lambda f, x, w: f(x, 1, weights=w))
case("numpy", "average", X)
for _method in ("linear", "lower", "higher", "midpoint", "nearest"):
    case("numpy", "quantile nanquantile", X, np.array([0.2, 0.63]), axis=1, method=_method)
case("numpy", "nanquantile", GAPS, np.array([0.2, 0.63]), axis=1)
case("numpy", "percentile", X, np.array([20, 63.0]), axis=1)
case("numpy", "nanpercentile", GAPS, np.array([20, 63.0]), axis=1)
case("numpy", "cov corrcoef", X)
case("numpy", "cov corrcoef", V, V**2)
case("numpy", "cov corrcoef", Z)
case("numpy", "cov corrcoef", X, rowvar=False)
case("numpy", "cov", X, ROW_P, call=lambda f, x, w: f(x, aweights=w, ddof=0))
case("numpy", "bincount", np.array([0, 2, 2, 1]), W, length=4)
case("numpy", "histogram", V, call=lambda f, w: f(np.arange(5.0), 3, weights=w, density=True))
case("numpy", "histogram2d", V, call=lambda f, w: f(np.arange(5.0), np.arange(5.0), 3, weights=w))
case("numpy", "histogramdd", V, call=lambda f, w: f(np.arange(10.0).reshape(5, 2), 3, weights=w))
case("numpy", "histogram_bin_edges", V, 3)

# ---- shapes and places ----

case("numpy", "array asarray atleast_1d atleast_2d atleast_3d diag diagflat diagonal matrix_transpose ravel sort trace", S)
case("numpy", "transpose tril triu", S)
case("numpy", "sort_complex flipud flip fliplr rot90 hstack vstack dstack column_stack broadcast_arrays unstack squeeze ediff1d", X)
case("numpy", "array asarray atleast_1d atleast_2d atleast_3d diag diagflat sort sort_complex", Z_ROW)
case("numpy", "concatenate concat stack hstack vstack dstack column_stack block", [X, Y])
case("numpy", "append", X, Y)
case("numpy", "append", X, Y, 1)
case("numpy", "concatenate concat stack", [X, Y], axis=1)
case("numpy", "block", [[X, Y], [Y, X]])
case("numpy", "apply_along_axis", jnp.cumsum, 1, X)
case("numpy", "apply_over_axes", jnp.sum, CUBE, (0, 2))
case("numpy", "array_split split", V, (2, 3))
case("numpy", "array_split", V, 2)
case("numpy", "split vsplit", X, 2)
case("numpy", "hsplit", X, (1, 2))
case("numpy", "dsplit", CUBE, 2)
case("numpy", "broadcast_arrays meshgrid", ROW, W[:1])
case("numpy", "meshgrid", ROW, W, indexing="ij")
case("numpy", "broadcast_to", ROW, (2, 3))
case("numpy", "compress", X, call=lambda f, x: f(np.array([True, False, True]), x, 1, size=2))
case("numpy", "extract", X, call=lambda f, x: f(MASK, x, size=4))
case("numpy", "delete", X, 1, 1)
case("numpy", "diag", V, 1)
case("numpy", "diagonal trace", CUBE, 1, 0, 2)
case("numpy", "diff", CUBE, 2, 1)
case("numpy", "diff", X, call=lambda f, x: f(x, prepend=1.0, append=x[:, :1]))
case("numpy", "ediff1d", V, W, ROW, call=lambda f, x, end, begin: f(x, to_end=end, to_begin=begin))
case("numpy", "expand_dims", X, (0, 2))
case("numpy", "fill_diagonal", S, ROW, inplace=False)
case("numpy", "flip", X, 0)
case("numpy", "full", (2, 3), ROW)
case("numpy", "full_like", X, ROW)
case("numpy", "empty_like ones_like zeros_like", X)
case("numpy", "gradient", X)
case("numpy", "gradient", V, positive(5).cumsum())
case("numpy", "gradient", CUBE, 0.3, axis=(1, 2))
case("numpy", "insert", V, np.array([1, 3]), V[:2])
case("numpy", "moveaxis", CUBE, 0, 2)
for _mode in ("edge", "linear_ramp", "mean", "median", "maximum", "minimum", "reflect", "symmetric", "wrap"):
    case("numpy", "pad", X, ((1, 2), (2, 1)), _mode)
case("numpy", "pad", X, 1, constant_values=2.0)
case("numpy", "partition", V, 2)
case("numpy", "permute_dims transpose", CUBE, (2, 0, 1))
case("numpy", "place", X, V, call=lambda f, x, v: f(x, MASK, v, inplace=False))
case("numpy", "put", X, np.array([4, 0]), V[:2], inplace=False)
case("numpy", "put_along_axis", X, Y[:, :1], call=lambda f, x, y: f(x, np.array([[1], [2]]), y, 1, inplace=False))
case("numpy", "repeat", X, 2, 1)
case("numpy", "repeat", ROW, call=lambda f, x: f(x, np.array([2, 0, 3]), total_repeat_length=5))
case("numpy", "reshape", X, (3, 2), order="F")
case("numpy", "resize", X, (4, 2))
case("numpy", "roll", X, 1, 1)
case("numpy", "roll", X, (1, 2), (0, 1))
case("numpy", "rollaxis", CUBE, 2)
case("numpy", "rot90", X, 3)
case("numpy", "sort", X, 0, descending=True)
case("numpy", "squeeze", X[None])
case("numpy", "swapaxes", CUBE, 0, 2)
case("numpy", "top_k", X, 2)
case("numpy", "take", X, np.array([[2, 0], [-1, 2]]), axis=1)
for _mode in ("fill", "wrap", "clip"):
    case("numpy", "take", X, np.array([5, -1, 0]), axis=1, mode=_mode)
case("numpy", "take_along_axis", X, np.array([[2, 2], [0, -1]]), axis=1)
case("numpy", "tile", X, (2, 1, 2))
case("numpy", "tril triu", X, -1)
SIZED = {"size": 4, "fill_value": 0.0}
case("numpy", "unique unique_all unique_counts unique_inverse unique_values", V, **SIZED)
case("numpy", "setdiff1d", V, V[:2], size=3)
case("numpy", "union1d", V, W, size=9)
case("numpy", "setxor1d", V, V[1:], size=1)
case("numpy", "intersect1d", V, V[1:], size=4)
case("numpy", "vectorize", X, ROW, call=lambda f, x, y: f(jnp.dot, signature="(n),(n)->()")(x, y))
case("numpy", "frompyfunc", X, Y, call=lambda f, x, y: f(lambda a, b: a * jnp.sin(b), 2, 1)(x, y))

# ---- products, polynomials and signals ----

for _x, _y, _square in ((X, ROW, S), (Z, Z_ROW, Z_WELL)):
    case("numpy", "dot inner matvec", _x, _y)
    case("numpy", "matmul dot", _x, _square)
    case("numpy", "vecmat", _y, _square)
    case("numpy", "inner vecdot vdot kron outer", _x, _x + 1)
    case("numpy", "tensordot", _x, _square, 1)
    case("numpy", "convolve correlate", _y, _x[0] + 1, mode="full")
    case("numpy", "convolve correlate", _y, _x[0, :2], mode="same")
case("numpy", "einsum", "ij,kj->ki", X, Y)
case("numpy", "einsum", "ii->i", S)
case("numpy", "einsum", "ij,jk,k", X, S, ROW)
case("numpy", "cross", X, ROW)
case("numpy", "interp", 2 * X, np.array([-1.0, 0.3, 1.2]), ROW)
case("numpy", "interp", 2 * X, np.array([-1.0, 0.3, 1.2]), ROW, left=0.2, right="extrapolate")
case("numpy", "interp", 2 * X, np.array([-1.0, 0.3, 1.2]), ROW, period=3.5)
case("numpy", "linspace logspace geomspace", ROW_P, 2 + ROW_P, 4)
case("numpy", "linspace", ROW_P, 2 + ROW_P, 4, endpoint=False, axis=1)
case("numpy", "kaiser", 5, np.array(2.0))
case("numpy", "trapezoid", X)
case("numpy", "trapezoid", X, dx=0.3, axis=0)
case("numpy", "trapezoid", X, ROW)
case("numpy", "vander", ROW, 4)
case("numpy", "vander", ROW, 3, increasing=True)
case("numpy", "poly", ROW)
case("numpy", "poly", DEFINITE)
case("numpy", "polyadd polysub polymul convolve", V, ROW)
case("numpy", "polyval", V, X)
case("numpy", "polydiv", V, ROW)
case("numpy", "polyder", V, 2)
case("numpy", "polyint", V, 2)
case("numpy", "polyfit", 1 + np.arange(5.0), V, 2)
case("numpy", "polyfit", 1 + np.arange(5.0), V, positive(5), call=lambda f, x, y, w: f(x, y, 1, w=w))
case("numpy", "roots", W, strip_zeros=False)

# ---- matrices ----

for _a, _b in ((WELL, S), (Z_WELL, Z_WELL + 1)):
    case("numpy.linalg", "cond det eigvals inv norm matrix_norm pinv qr slogdet svd svdvals vector_norm", _a)
    case("numpy.linalg", "lstsq matmul solve tensorsolve vecdot", _a, _b[:, 0])
    case("numpy.linalg", "outer", _a[0], _b[0])
    case("numpy.linalg", "matmul solve vecdot", _a, _b)
    case("numpy.linalg", "pinv qr vector_norm", _b[:, :2])
    case("numpy.linalg", "diagonal matrix_transpose trace", _a)
    case("numpy.linalg", "matrix_power", _a, 3)
    case("numpy.linalg", "matrix_power", _a, -2)
    case("numpy.linalg", "multi_dot", [_a, _b, _b[:, 0]])
    case("numpy.linalg", "svd", _b[:, :2], full_matrices=False)
    case("numpy.linalg", "tensordot", _a, _b, axes=1)
    case("numpy.linalg", "tensorinv", _a[:, :, None], 1, call=lambda f, a, n: f(a.reshape(3, 1, 3), n))
    case("lax.linalg", "lu qr", _a)
    case("lax.linalg", "svd", _b[:, :2], full_matrices=False)
    case("lax.linalg", "triangular_solve", _a, _b, left_side=True, lower=True, conjugate_a=True, transpose_a=True)
    case("lax.linalg", "tridiagonal_solve", _b[0], _a[1] + 5, _b[2], _b)
    case("scipy.linalg", "det expm inv lu lu_factor qr", _a)
    case("scipy.linalg", "sqrtm", _a, into=REFUSED)
    case("scipy.linalg", "svd", _b[:, :2], full_matrices=False)
    case("scipy.linalg", "lu_solve", _a, _b, call=lambda f, a, b: f(jax.scipy.linalg.lu_factor(a), b, trans=1))
    case("scipy.linalg", "solve solve_triangular", _a, _b)
    case("scipy.linalg", "solve_triangular", _a, _b, trans=1, lower=True, unit_diagonal=True)
for _a in (DEFINITE, HERMITIAN):
    case("numpy.linalg", "cholesky eigh eigvalsh", _a)
    case("numpy.linalg", "pinv", _a, hermitian=True)
    case("lax.linalg", "cholesky eigh", _a)
    case("scipy.linalg", "eigh", _a)
    case("scipy.linalg", "solve", _a, S, assume_a="pos")
for _ord in (1, -1, 2, -2, np.inf, -np.inf, "nuc", "fro"):
    case("numpy.linalg", "norm", S, _ord)
    case("numpy.linalg", "matrix_norm", S, ord=_ord)
for _ord in (0.5, 1, 3, np.inf, -np.inf):
    case("numpy.linalg", "norm vector_norm", X, ord=_ord, axis=1)
case("numpy.linalg", "cond", S, "fro")
case("numpy.linalg", "cond", S, 1)
case("numpy.linalg", "cross", S, S2)
case("numpy.linalg", "slogdet", S, method="qr")
case("numpy.linalg", "eig", WELL, call=lambda f, a: f(a)[0], into=UNLIKE)
case("scipy.linalg", "cholesky cho_factor", DEFINITE, into=WRONG_ONCE)
case("scipy.linalg", "cho_solve", DEFINITE, S, call=lambda f, a, b: f(jax.scipy.linalg.cho_factor(a), b), into=WRONG_ONCE)
case("lax.linalg", "eig", WELL, enable_eigvec_derivs=True)
case("lax.linalg", "cholesky_update", DEFINITE, ROW, into=REFUSED)
case("lax.linalg", "hessenberg tridiagonal qdwh schur", DEFINITE, into=REFUSED)
case("lax.linalg", "householder_product", S, ROW, into=REFUSED)
case("lax.linalg", "ormqr", S, ROW, S2, into=REFUSED)
case("lax.linalg", "symmetric_product", S, DEFINITE, into=REFUSED)
case("scipy.linalg", "block_diag", S, X)
case("scipy.linalg", "circulant companion fiedler fiedler_companion hankel toeplitz", W)
case("scipy.linalg", "hankel toeplitz", W, ROW)
case("scipy.linalg", "convolution_matrix", W, 3)
case("scipy.linalg", "eigh_tridiagonal", V, W, eigvals_only=True, into=REFUSED)
case("scipy.linalg", "expm", S, upper_triangular=True)
case("scipy.linalg", "expm_frechet", S, S2)
case("scipy.linalg", "funm", DEFINITE, jnp.sin, into=REFUSED)
case("scipy.linalg", "hessenberg polar schur", S, into=REFUSED)
case("scipy.linalg", "leslie", W, ROW)
case("scipy.linalg", "lu", S, permute_l=True)
case("scipy.linalg", "qr", S, mode="economic")
case("scipy.linalg", "qr_multiply", S, S2, into=REFUSED)
case("scipy.linalg", "rsf2csf", S, S2)
case("scipy.linalg", "solve_sylvester", WELL, WELL, S, into=REFUSED)

# ---- Fourier transforms ----

case("numpy.fft", "fft ifft fft2 ifft2 fftn ifftn", Z)
case("numpy.fft", "fft ifft fft2 ifft2 fftn ifftn rfft rfft2 rfftn ihfft fftshift ifftshift", X)
case("numpy.fft", "irfft irfft2 irfftn hfft", Z)
case("numpy.fft", "fft ifft rfft", X, 5, 0, "ortho")
case("numpy.fft", "irfft hfft ihfft", X, 3, 0, "forward")
case("numpy.fft", "fftn ifftn rfftn irfftn fft2 ifft2 rfft2 irfft2", X, (3, 2), (1, 0), "ortho")
case("scipy.fft", "dct dctn idct idctn", X)
case("scipy.fft", "dct idct", X, n=5, axis=0, norm="ortho")
case("scipy.fft", "dctn idctn", X, s=(3, 2), norm="ortho")

# ---- jax.lax, number by number ----

for _x in (X, Z):
    case("lax", "abs acos asin asinh atan atanh conj cos cosh exp exp2 expm1 logistic neg reciprocal sin sinh square tan tanh", _x / 2)
for _x in (P, Z):
    case("lax", "log log1p log2 rsqrt sqrt", _x)
case("lax", "bessel_i0e bessel_i1e cbrt erf erfc", X)
case("lax", "acosh", P + 1.5)
case("lax", "acosh", Z, into=WRONG_ONCE)
case("lax", "digamma lgamma", P)
case("lax", "erf_inv one_minus_square", INSIDE)
case("lax", "imag real", Z)
case("lax", "log2", P)
case("lax", "ceil floor round sign", X)
case("lax", "sign", Z, into=WRONG_ONCE)
case("lax", "convert_element_type", X, np.float32)
case("lax", "convert_element_type", X, np.complex128)
case("lax", "reduce_precision", X, 8, 10)
case("lax", "integer_pow", X, 3)
case("lax", "integer_pow", P, -2)
case("lax", "add sub mul max min atan2 complex", X, Y)
case("lax", "div rem", X, P)
case("lax", "add sub mul div pow", Z, Z2)
case("lax", "max min", Z, Z2, into=WRONG_NOW)
case("lax", "pow", P, X)
case("lax", "nextafter", X, Y, into=REFUSED_ONCE)
case("lax", "igamma igammac", P, Q)
case("lax", "betainc", UNIT, call=lambda f, x: f(P, Q, x))
case("lax", "betainc", P, Q, UNIT, into=REFUSED)
case("lax", "polygamma", P, call=lambda f, x: f(np.full((2, 3), 2.0), x))
case("lax", "polygamma zeta", P + 1, Q, into=REFUSED)
case("lax", "igamma_grad_a random_gamma_grad", P, Q, into=REFUSED)
case("lax", "polynomial", X, V)
case("lax", "clamp", -0.5 * P, X, 0.5 * P)
case("lax", "select", MASK, X, Y)
case("lax", "select_n", MASK, X, Y)
case("lax", "select_n", np.array([[0, 2, 1], [1, 1, 0]]), X, Y, P)
case("lax", "stop_gradient", X)
case("lax", "stage", X)
case("lax", "optimization_barrier", [X, Y])

# ---- jax.lax: shapes, reductions and places ----

case("lax", "approx_max_k approx_min_k top_k", X, 2)
case("lax", "broadcast", X, (2,))
case("lax", "broadcast_in_dim", X, (2, 4, 3), (0, 2))
case("lax", "broadcast_like", ROW, X)
case("lax", "broadcast_to_rank", X, 3)
case("lax", "collapse", CUBE, 1, 3)
case("lax", "concatenate", [X, Y], 1)
case("lax", "cumlogsumexp cummax cummin cumprod cumsum", X, axis=1)
case("lax", "cumlogsumexp cummax cummin cumprod cumsum", X, axis=1, reverse=True)
case("lax", "dynamic_index_in_dim", X, np.array(1), 1)
case("lax", "dynamic_slice", X, [np.array(1), np.array(1)], (1, 2))
case("lax", "dynamic_slice_in_dim", X, np.array(1), 2, 1)
case("lax", "dynamic_update_index_in_dim", X, Y[:, 0], np.array(1), 1)
case("lax", "dynamic_update_slice", X, Y[:1, :2], [np.array(1), np.array(1)])
case("lax", "dynamic_update_slice_in_dim", X, Y[:, :2], np.array(1), 1)
case("lax", "expand_dims", X, (0, 2))
case("lax", "full", (2, 3), np.array(0.3))
case("lax", "full_like", X, np.array(0.3))
case("lax", "index_in_dim", X, 1, 1)
case("lax", "index_take", CUBE, (np.array([1, 0]), np.array([2, 2])), (0, 1))
case("lax", "pad", X, np.array(0.3), ((1, 0, 1), (-1, 2, 0)))
case("lax", "reduce", (X, Y), (0.0, 1.0), lambda a, b: (a[0] + b[0] + a[0] * b[0], a[1] * b[1]), (1,))
case("lax", "reduce_max reduce_min reduce_prod reduce_sum", X, (1,))
for _kind in (lax.add, lax.max, lax.min):
    case("lax", "reduce_window", CUBE[0], {lax.add: 0.0, lax.max: -np.inf, lax.min: np.inf}[_kind], _kind, (2, 2), (1, 2), "VALID")
case("lax", "reshape", X, (3, 2), (1, 0))
case("lax", "rev", X, (1,))
case("lax", "slice", X, (0, 1), (2, 3), (1, 2))
case("lax", "slice_in_dim", X, 0, 3, 2, 1)
case("lax", "sort", X)
case("lax", "sort", [X, Y], num_keys=1)
case("lax", "sort_key_val", X, Y)
case("lax", "split", V, (2, 3))
case("lax", "squeeze", X[None], (0,))
case("lax", "stack unstack", [X, Y], call=lambda f, xs: f(xs, axis=1) if f is lax.stack else f(xs[0], axis=1))
case("lax", "tile", X, (2, 2))
case("lax", "transpose", CUBE, (2, 0, 1))
ROWS = lax.GatherDimensionNumbers((1,), (0,), (0,))
TO_ROWS = lax.ScatterDimensionNumbers((1,), (0,), (0,))
case("lax", "gather", S, np.array([[2], [0]]), ROWS, (1, 3))
case("lax", "scatter scatter_add scatter_max scatter_min scatter_sub", S, np.array([[2], [0]]), X, TO_ROWS)
case("lax", "scatter_mul", S, np.array([[2], [0]]), X, TO_ROWS, unique_indices=True)
case("lax", "scatter_mul", S, np.array([[2], [2]]), X, TO_ROWS, into=REFUSED)
case("lax", "scatter_apply", S, np.array([[2], [0]]), jnp.sin, TO_ROWS, update_shape=(2, 3), into=REFUSED)

# ---- jax.lax: products ----

IMAGE, KERNEL = normal(2, 2, 5, 4), normal(3, 2, 2, 3)
CONTRACTED = (((1,), (1,)), ((), ()))
case("lax", "batch_matmul", CUBE, normal(2, 4, 3))
case("lax", "dot", X, S)
case("lax", "dot_general", X, Y, CONTRACTED)
case("lax", "dot_general", Z, Z2, CONTRACTED)
case("lax", "conv", IMAGE, KERNEL, (2, 1), "SAME")
case("lax", "conv_general_dilated", IMAGE, KERNEL, (2, 1), [(1, 0), (2, 1)], (1, 2), (2, 1))
case("lax", "conv_general_dilated_local", IMAGE, normal(3, 2 * 6, 4, 2), (1, 1), "VALID", (2, 3))
case("lax", "conv_general_dilated_patches", IMAGE, (2, 3), (1, 2), "SAME")
case("lax", "conv_transpose", IMAGE, KERNEL, (2, 1), "SAME", dimension_numbers=("NCHW", "IOHW", "NCHW"), transpose_kernel=True)
case("lax", "conv_with_general_padding", IMAGE, KERNEL, (1, 1), [(1, 0), (0, 1)], None, None)
case("lax", "ragged_dot", normal(4, 3), normal(2, 3, 2), np.array([1, 3]))
RAGGED = lax.RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))
case("lax", "ragged_dot_general", normal(4, 3), normal(2, 3, 2), np.array([1, 3]), RAGGED)
case("lax", "rng_uniform", np.array(0.1), np.array(0.5), (3,), into=REFUSED)
case("lax", "fft", Z, "fft", (3,))
case("lax", "fft", X, "rfft", (2, 3))
case("lax", "scaled_dot", X, S, into=REFUSED)

# ---- jax.lax: control flow, and axes that vmap names ----

case("lax", "associative_scan", lambda a, b: a * b + b, X, axis=1)
case("lax", "associative_scan", lambda a, b: a * b, X, axis=1, reverse=True)
case("lax", "cond", np.array(True), jnp.sin, jnp.cos, X)
case("lax", "switch", np.array(1), [jnp.sin, jnp.cos, jnp.exp], X)
case("lax", "fori_loop", 0, 3, lambda i, x: jnp.sin(x) * (i + 1), X)
case("lax", "map", jnp.sin, X)
case("lax", "map", jnp.cumsum, CUBE, batch_size=1)
case("lax", "scan", lambda c, x: (jnp.sin(c) * x, c), ROW, X)
case("lax", "scan", lambda c, x: (jnp.sin(c) * x, c), ROW, X, reverse=True, unroll=2)
case("lax", "while_loop", X, call=lambda f, x: x * f(lambda i: i < 3, lambda i: i + 1, 0))
case("lax", "while_loop", lambda x: x.sum() < 9, lambda x: x + 1, X, into=REFUSED)
case("lax", "composite", X, call=lambda f, x: f(jnp.sin, "my.sin")(x), into=REFUSED)


def cube_root(f, a):
    newton = lambda g, x: lax.fori_loop(0, 40, lambda _, x: x - g(x) / (3 * x**2), x)
    return f(lambda x: x**3 - a, a, newton, lambda g, y: y / g(jnp.ones_like(y)))


def solved(f, a, b):
    return f(lambda x: a @ x, b, lambda _, b: jnp.linalg.solve(a, b), lambda _, b: jnp.linalg.solve(a.T, b))


case("lax", "custom_root", P, call=cube_root)
case("lax", "custom_linear_solve", WELL, ROW, call=solved)
case("lax", "platform_dependent", X, default=jnp.sin)
case("lax", "with_sharding_constraint", X, call=lambda f, x: f(x, jax.sharding.SingleDeviceSharding(jax.devices()[0])))


def along(f, *args, **options):
    """With the first axis named."""
    return jax.vmap(lambda *args: f(*args, **options), axis_name="i")(*args)


case("lax", "psum pmean all_gather", X, call=lambda f, x: along(lambda x: f(x, "i") * x, x))
case("lax", "pmax pmin", X, call=lambda f, x: along(lambda x: f(x, "i"), x), into=REFUSED)
case("lax", "all_to_all", S, call=lambda f, x: along(lambda x: f(x, "i", 0, 0), x))
case("lax", "ppermute", S, call=lambda f, x: along(lambda x: f(x, "i", [(0, 1), (1, 2), (2, 0)]), x))
case("lax", "pshuffle", S, call=lambda f, x: along(lambda x: f(x, "i", [1, 2, 0]), x))
case("lax", "psum_scatter", S, call=lambda f, x: along(lambda x: f(x, "i"), x))
case("lax", "pswapaxes", S, call=lambda f, x: along(lambda x: f(x, "i", 0), x))

# ---- jax.nn ----

case("nn", "celu elu gelu hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid mish relu relu6 selu", 3 * X)
case("nn", "identity sigmoid silu soft_sign softplus sparse_plus sparse_sigmoid squareplus swish tanh", 3 * X)
case("nn", "log_softmax logmeanexp logsumexp softmax standardize", X)
case("nn", "log_softmax logmeanexp logsumexp softmax standardize", X, axis=0, where=MASK)
case("nn", "relu relu6 hard_tanh leaky_relu elu celu selu", np.array([-1.0, 0, 1, 6]))
case("nn", "celu elu leaky_relu", X, ROW_P)
case("nn", "gelu", X, False)
case("nn", "glu", CUBE)
case("nn", "log1mexp", P)
case("nn", "logsumexp", X, Y, call=lambda f, x, b: f(x, 1, b, return_sign=True))
case("nn", "squareplus", X, ROW_P)
case("nn", "standardize", X, ROW, ROW_P, call=lambda f, x, m, v: f(x, 0, m, v))
QUERY, KEY, VALUE = normal(1, 4, 2, 3), normal(1, 4, 2, 3), normal(1, 4, 2, 3)
case("nn", "dot_product_attention", QUERY, KEY, VALUE)
case("nn", "dot_product_attention", QUERY, KEY, VALUE, normal(1, 2, 4, 4), is_causal=True)
case("nn", "dot_product_attention", QUERY, KEY, VALUE, mask=np.tri(4, dtype=bool)[None, None], scale=0.3)
case("nn", "scaled_dot_general", X, Y, CONTRACTED)
case("nn", "scaled_matmul", X[None], normal(1, 2, 3), P[None, :, :1], P[None, :, 1:2], into=REFUSED)

# ---- jax.random: the parameters of a distribution, in float64 ----

case("random", "beta f", P, Q)
case("random", "chisquare gamma loggamma pareto rayleigh t wald lognormal", P)
case("random", "dirichlet", P)
case("random", "double_sided_maxwell", X, P, (2, 3))
case("random", "generalized_normal", np.array(1.5), (2, 3))
case("random", "ball", 3, np.array(1.5), (2,))
case("random", "multivariate_normal", ROW, DEFINITE)
case("random", "multivariate_normal", ROW, DEFINITE, method="eigh")
case("random", "multivariate_normal", ROW, DEFINITE, method="svd")
case("random", "triangular", -P, 0.2 * X, P + 1)
case("random", "truncated_normal", -P, Q)
case("random", "uniform", X, P, call=lambda f, key, x, p: f(key, (2, 3), minval=x, maxval=x + p))
case("random", "weibull_min", P, Q)
case("random", "choice", V, (3,))
case("random", "choice", V, (3,), False)
case("random", "binomial", 5.0, UNIT)
case("random", "multinomial", 5, np.array([0.2, 0.3, 0.5]))
case("random", "permutation", X)
case("random", "permutation", X, 1, True)

# ---- jax.image, jax.ops ----

for _method in ("nearest", "linear", "cubic", "lanczos3", "lanczos5"):
    case("image", "resize", CUBE[0], (5, 3), _method)
case("image", "scale_and_translate", CUBE[0], (5, 3), (0, 1), np.array([1.5, 0.7]), np.array([0.2, -0.3]), "linear")
SEGMENTS = np.array([0, 2, 2, 1])
case("ops", "segment_sum segment_max segment_min", W, SEGMENTS, 3)
case("ops", "segment_prod", W, np.array([2, 0, 3, 1]), 4, unique_indices=True)
case("ops", "segment_prod", W, SEGMENTS, 3, into=REFUSED)

# ---- jax.scipy.special ----

case("scipy.special", "dawsn erf erfc erfcx expi expit fresnel i0 i0e i1 i1e log_ndtr log_softmax logsumexp ndtr sici softmax", X)
case("scipy.special", "digamma entr factorial gamma gammaln loggamma exp1 expi", P + 0.1)
case("scipy.special", "spence", np.array([0.3, 0.9, 2.1, 4]))  # between 1 and 2 the gradient of JAX's formula is NaN
case("scipy.special", "gamma digamma gammaln gammasgn", np.array([-0.5, -1.5, -2.3]))
case("scipy.special", "erfinv", INSIDE)
case("scipy.special", "erfcinv", UNIT + 0.5)
case("scipy.special", "logit ndtri", UNIT)
case("scipy.special", "wofz", Z)
case("scipy.special", "beta betaln kl_div rel_entr xlog1py xlogy poch gammainc gammaincc boxcox boxcox1p", P, Q)
case("scipy.special", "xlogy", np.zeros(3), ROW_P)
case("scipy.special", "owens_t", X, Y)
case("scipy.special", "betainc", UNIT, call=lambda f, x: f(P, Q, x))
case("scipy.special", "betainc", P, Q, UNIT, into=REFUSED)
case("scipy.special", "bessel_jn", ROW, v=3)
case("scipy.special", "comb", 5 + P, Q)
case("scipy.special", "expn", 2, P)
case("scipy.special", "hyp1f1", P, Q, X)
case("scipy.special", "hyp2f1", P, Q, P + Q, UNIT)
case("scipy.special", "logsumexp", X, Y, call=lambda f, x, b: f(x, 1, b))
case("scipy.special", "multigammaln", 3 + P, 3)
case("scipy.special", "polygamma", 2, P)
case("scipy.special", "zeta", 2.5, P)
case("scipy.special", "sph_harm_y", ROW_P, UNIT[0], call=lambda f, a, b: f(np.array([2, 1, 3]), np.array([1, 1, -2]), a, b, n_max=3))

# ---- jax.scipy.stats ----

for _names, _args in {
    "cauchy norm: cdf logcdf logpdf logsf pdf sf": (X, Y, P),
    "cauchy norm logistic: ppf isf": (UNIT, Y, P),
    "logistic laplace: cdf logpdf pdf": (X, Y, P),
    "gumbel_l gumbel_r: logpdf pdf": (X, Y),
    "logistic: sf": (X, Y, P),
    "gumbel_l gumbel_r: cdf logcdf logsf sf": (X, Y, P),
    "expon: ppf": (UNIT, Y, P),
    "expon: cdf logcdf logpdf logsf pdf sf": (P + X, X, Q),
    "chi2 gamma: cdf logcdf logpdf logsf pdf sf": (P + X, Q, X, ROW_P),
    "beta: logpdf pdf": (X + UNIT * P, P + 0.5, Q, X, P),
    "gennorm: cdf logpdf pdf": (X, P + 1),
    "pareto: cdf logcdf logpdf logsf pdf sf": (X + 2.5 * P, Q, X, P),
    "pareto: ppf": (UNIT, Q, X, P),
    "t: logpdf pdf": (X, P, Y, Q),
    "truncnorm: cdf logcdf logpdf logsf pdf sf": (INSIDE * 0.4, -P, Q, 0.1 * X, Q),
    "uniform: cdf logpdf pdf": (X + UNIT * P, X, P),
    "uniform: ppf": (UNIT, X, P),
    "vonmises: logpdf pdf": (X, P),
    "wrapcauchy: logpdf pdf": (P, UNIT),
    "dirichlet: logpdf pdf": (np.array([0.2, 0.3, 0.5]), ROW_P),
    "multivariate_normal: logpdf pdf": (X, ROW, DEFINITE),
}.items():
    _families, _functions = _names.split(": ")
    for _family in _families.split():
        case(f"scipy.stats.{_family}", _functions, *_args)
case("scipy.stats.gumbel_l", "logpdf pdf ppf", UNIT, X, P, into=REFUSED)  # a float0 in JAX's own rule of xlogy
case("scipy.stats.gumbel_r", "logpdf pdf ppf", UNIT, X, P, into=REFUSED)
for _family in ("gumbel_l", "gumbel_r"):
    case(f"scipy.stats.{_family}", "ppf", Y, call=lambda f, loc: f(UNIT, loc))
COUNTS = np.array([0, 1, 2])
case("scipy.stats.bernoulli", "cdf logpmf pmf", UNIT[0], call=lambda f, p: f(np.array([0, 1, 0]), p))
case("scipy.stats.bernoulli", "ppf", UNIT[0], UNIT[1])
case("scipy.stats.beta", "cdf logcdf logsf sf", X + UNIT * P, X, P, call=lambda f, x, loc, scale: f(x, P + 0.5, Q, loc, scale))
case("scipy.stats.beta", "cdf logcdf logsf sf", UNIT, P, Q, into=REFUSED)
case("scipy.stats.betabinom", "logpmf pmf", ROW_P, ROW_P + 1, call=lambda f, a, b: f(COUNTS, 5, a, b))
case("scipy.stats.binom", "logpmf pmf", UNIT[0], call=lambda f, p: f(COUNTS, 5, p))
case("scipy.stats.geom", "logpmf pmf", UNIT[0], call=lambda f, p: f(COUNTS + 1, p))
case("scipy.stats.multinomial", "logpmf pmf", np.array([0.2, 0.3, 0.5]), call=lambda f, p: f(COUNTS, 3, p))
case("scipy.stats.nbinom", "logpmf pmf", UNIT[0], call=lambda f, p: f(COUNTS, 4, p))
case("scipy.stats.poisson", "logpmf pmf cdf", ROW_P, call=lambda f, p: f(COUNTS, p))
case("scipy.stats.poisson", "entropy", ROW_P)
case("scipy.stats", "gaussian_kde", X, Y, call=lambda f, x, y: f(x).evaluate(y))
case("scipy.stats", "gaussian_kde", X, ROW_P, call=lambda f, x, w: f(x, weights=w).logpdf(Y))
case("scipy.stats", "mode rankdata", X)
case("scipy.stats", "sem", X)

# ---- the rest of jax.scipy ----

for _x, _y in ((V, ROW), (complexes(5), Z_ROW)):
    case("scipy.signal", "convolve correlate fftconvolve", _x, _y)
    case("scipy.signal", "convolve correlate", _x, _y, mode="same", method="fft")
case("scipy.signal", "convolve2d correlate2d", CUBE[0], X[:, :2])
case("scipy.signal", "convolve2d correlate2d", CUBE[0], X[:, :2], mode="same")
SIGNAL = normal(16)
case("scipy.signal", "stft welch", SIGNAL, nperseg=8)
case("scipy.signal", "csd", SIGNAL, SIGNAL[::-1] + 1, nperseg=8)
case("scipy.signal", "istft", complexes(5, 4), nperseg=8)
case("scipy.signal", "detrend", V)
case("scipy.signal", "detrend", SIGNAL, type="constant")
case("scipy.integrate", "trapezoid", X, ROW)
case("scipy.interpolate", "RegularGridInterpolator", X, UNIT[:, :2], call=lambda f, v, x: f((np.arange(2.0), np.arange(3.0)), v)(x))
case("scipy.ndimage", "map_coordinates", CUBE[0], [2 * UNIT[0], 2 * UNIT[1]], 1)
case("scipy.ndimage", "map_coordinates", CUBE[0], [3 * UNIT[0], 5 * UNIT[1]], 1, "mirror")
case("scipy.cluster.vq", "vq", X, S, call=lambda f, x, y: f(x, y)[1])
case("scipy.sparse.linalg", "cg", DEFINITE, ROW)
case("scipy.sparse.linalg", "bicgstab gmres", WELL, ROW)
case("scipy.spatial.transform", "Rotation", W, ROW, call=lambda f, q, v: f.from_quat(q).apply(v))
case("scipy.spatial.transform", "Rotation", ROW, call=lambda f, e: f.from_euler("xyz", e).as_matrix())
case("scipy.spatial.transform", "Rotation", ROW, call=lambda f, e: f.from_rotvec(e).as_quat())


def between_rotations(f, q, t):
    return f.init(jnp.array([0.0, 1.0]), jax.scipy.spatial.transform.Rotation.from_quat(q))(t).as_quat()


case("scipy.spatial.transform", "Slerp", normal(2, 4), np.array(0.4), call=between_rotations)
case("scipy.optimize", "minimize", ROW, call=lambda f, a: f(lambda x: jnp.sum((x - a) ** 4), jnp.zeros(3), method="BFGS").x, into=REFUSED)

# ---- what has no derivative, and why ----

ZERO = {
    "a step": "numpy.ceil numpy.floor numpy.rint numpy.sign numpy.trunc numpy.round numpy.around numpy.floor_divide numpy.spacing "
    "lax.ceil lax.floor lax.round lax.sign scipy.special.gammasgn scipy.stats.rankdata",
    "a value that the argument does not change": "numpy.empty_like numpy.ones_like numpy.zeros_like lax.stop_gradient",
    "a count": "random.binomial random.multinomial scipy.stats.bernoulli.ppf",
}
IN_FLOAT32 = {"nn.dot_product_attention": "its softmax, whatever the type"}
WITHOUT = {
    "indices, counts and bits: whole numbers": """numpy: argmax argmin argpartition argsort argwhere bitwise_and bitwise_count
        bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor count_nonzero diag_indices
        diag_indices_from digitize flatnonzero gcd invert indices ix_ lcm left_shift lexsort mask_indices nanargmax
        nanargmin nonzero packbits ravel_multi_index right_shift searchsorted tril_indices tril_indices_from triu_indices
        triu_indices_from unpackbits unravel_index
        numpy.linalg: matrix_rank
        lax: argmax argmin axis_index axis_size bitcast_convert_type bitwise_and bitwise_not bitwise_or bitwise_xor broadcasted_iota clz
        iota mulhi population_count reduce_and reduce_or reduce_xor rng_bit_generator shift_left shift_right_arithmetic
        shift_right_logical
        lax.linalg: lu_pivots_to_permutation
        nn: one_hot
        random: bernoulli bits categorical geometric poisson rademacher randint
        scipy.special: bernoulli""",
    "true or false": """numpy: all allclose any array_equal array_equiv equal greater greater_equal isclose iscomplex isfinite isin isinf
        isnan isneginf isposinf isreal less less_equal logical_and logical_not logical_or logical_xor not_equal signbit
        lax: eq ge gt is_finite le lt ne""",
    "made of sizes alone": """numpy: arange bartlett blackman empty eye fromfunction hamming hanning identity ones tri zeros
        numpy.fft: fftfreq rfftfreq
        lax: empty
        random: cauchy exponential gumbel laplace logistic maxwell normal orthogonal
        scipy.linalg: dft hadamard helmert hilbert invhilbert invpascal pascal""",
    "about shapes and types": """numpy: broadcast_shapes can_cast einsum_path iscomplexobj isdtype isrealobj isscalar issubdtype iterable
        ndim promote_types result_type shape size
        lax: ConvGeneralDilatedDimensionNumbers DotDimensionNumbers PrecisionLike broadcast_shapes conv_dimension_numbers
        conv_general_permutations conv_general_shape_tuple conv_shape_tuple conv_transpose_shape_tuple dtype padtype_to_pads
        reduce_window_shape_tuple shape_as_value
        nn: get_scaled_dot_general_config""",
    "reads, writes and prints": """numpy: array_repr array_str from_dlpack frombuffer fromfile fromiter fromstring get_printoptions load
        printoptions save savez set_printoptions""",
    "a shape that depends on values, so never traced": "numpy: trim_zeros",
    "keys": "random: Key PRNGKey clone fold_in key key_data key_dtype key_impl split wrap_key_data",
    "tokens and effects": "lax: after_all create_token dce_sink",
    "between devices; what has a rule is in tests/devices": "lax: pbroadcast pcast precv psend psum_scatter_start ragged_all_to_all",
}
OF_SOME_VERSIONS = """lax.ConvGeneralDilatedDimensionNumbers lax.PrecisionLike lax.log2 lax.one_minus_square lax.polynomial lax.precv
    lax.psend lax.psum_scatter_start numpy.minmax numpy.top_k random.Key scipy.special.erfcinv""".split()
SLOW = """numpy.intersect1d numpy.linalg.pinv numpy.nanquantile numpy.poly numpy.polyfit random.ball random.beta random.chisquare
    random.dirichlet random.double_sided_maxwell random.f random.generalized_normal random.loggamma random.t scipy.linalg.expm
    scipy.linalg.expm_frechet scipy.linalg.rsf2csf scipy.spatial.transform.Rotation scipy.spatial.transform.Slerp scipy.special.hyp2f1
    scipy.stats.beta.logpdf scipy.stats.beta.pdf scipy.stats.betabinom.logpmf scipy.stats.betabinom.pmf scipy.stats.chi2.logcdf
    scipy.stats.chi2.logsf scipy.stats.chi2.sf scipy.stats.gamma.logcdf scipy.stats.gamma.logsf scipy.stats.gaussian_kde
    scipy.stats.gennorm.cdf scipy.stats.truncnorm.cdf scipy.stats.truncnorm.logcdf scipy.stats.truncnorm.logsf
    scipy.stats.truncnorm.sf""".split()
