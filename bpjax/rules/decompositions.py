"""Triangular systems and decompositions of matrices.

Sources: Giles, "An extended collection of matrix derivative results" (2008); Murray, "Differentiation of the Cholesky decomposition"
(arXiv:1602.07527); Walter and Lehmann, "Algorithmic differentiation of linear algebra functions" (arXiv:1001.1654).

The formulas stand in the convention of those texts, in which the cotangent of A is that of the inner product Re tr(Bᴴ A): for complex
numbers the conjugate of JAX's (see `complex`), so these rules conjugate what comes in and what goes out.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.lax import linalg

from ..engine import NoRuleError, rule
from .complex import as_complex, converted


def _conj(x):
    return lax.conj(x) if jnp.iscomplexobj(x) else x


def _T(x):
    return lax.transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _H(x):
    return _conj(_T(x))


def _mm(*factors):
    """The product of matrices, along the batch, without the shortcuts of a matrix unit."""
    product, *rest = factors
    for other in rest:
        batch = tuple(range(product.ndim - 2))
        numbers = ((product.ndim - 1,), (other.ndim - 2,)), (batch, batch)
        product = lax.dot_general(product, other, numbers, precision=lax.Precision.HIGHEST)
    return product


def _where(keep, x):
    """What stands at the places of a matrix that `keep(row, column)` names, zeros elsewhere."""
    row, column = (lax.broadcasted_iota("int32", x.shape, x.ndim - i) for i in (2, 1))
    return lax.select(keep(row, column), x, lax.full_like(x, 0))


def _tril(x, k=0):
    return _where(lambda i, j: j <= i + k, x)


def _triu(x, k=0):
    return _where(lambda i, j: j >= i + k, x)


def _diagonal_of(x):
    """The diagonal of each matrix."""
    return lax.reduce_sum(_where(lax.eq, x), (x.ndim - 1,))


def _diagonal(d, like):
    """Matrices with these diagonals, in the type of another."""
    d = as_complex(d) if jnp.iscomplexobj(like) and not jnp.iscomplexobj(d) else d
    shape = (*d.shape, d.shape[-1])
    return _where(lax.eq, lax.broadcast_in_dim(d, shape, tuple(range(d.ndim))))


def _eye(like):
    """The identity, once for each of the square matrices."""
    return _where(lax.eq, lax.full_like(like, 1))


def _solved(a, b, lower, *, left=True, adjoint=False, unit=False):
    """inv(a) b, or b inv(a), for a triangular a or its adjoint."""
    return linalg.triangular_solve(
        a, b, left_side=left, lower=lower, transpose_a=adjoint, conjugate_a=adjoint and jnp.iscomplexobj(a), unit_diagonal=unit
    )


def _solve(a, b):
    """inv(a) b for any square a."""
    lu, _, order = linalg.lu(a)
    return _solved(lu, _solved(lu, _rows(b, order), True, unit=True), False)


def _rows(x, order):
    """The rows of each matrix, in the order of its own permutation."""
    return jnp.take_along_axis(x, order[..., None], axis=-2)


def _inverse(order):
    return lax.sort((order, lax.broadcasted_iota(order.dtype, order.shape, order.ndim - 1)), num_keys=1)[1]


def _of_triangle(s, lower=True):
    """The cotangent of one triangle of a Hermitian matrix, of which nothing else is read, from that of the whole matrix."""
    both = s + _H(s)
    half = (_tril if lower else _triu)(both)
    return half - _diagonal(_diagonal_of(half) * 0.5, half)


@rule("triangular_solve", needs=["x0 y", "x0"])
def _(eq, dy):
    """X = inv(A) B: dB = inv(A)ᵀ dX, dA = -dB Xᵀ, cut to the triangle. From the right everything is transposed."""
    a, left, lower, unit = eq.x[0], eq["left_side"], eq["lower"], eq["unit_diagonal"]

    def right_side():
        options = {name: eq[name] for name in ("left_side", "lower", "conjugate_a", "unit_diagonal")}
        return linalg.triangular_solve(a, dy, transpose_a=not eq["transpose_a"], **options)

    def matrix():
        d, y = right_side(), eq.y[0]
        d = lax.neg(_mm(d, _T(y)) if left else _mm(_T(y), d))
        d = _T(d) if eq["transpose_a"] else d
        d = _conj(d) if eq["conjugate_a"] else d
        return _tril(d, -int(unit)) if lower else _triu(d, int(unit))

    return matrix, right_side


@rule("cholesky", needs="y")
def _(eq, dy):
    """A = L Lᴴ: dA = inv(L)ᴴ Φ(Lᴴ dL) inv(L), where Φ takes the lower triangle and half the diagonal; A's lower triangle alone is read."""
    (lower,) = eq.y
    lower = _tril(lower)
    inner = _tril(_mm(_H(lower), _conj(_tril(dy))))
    inner = inner - _diagonal(_diagonal_of(inner) * 0.5, inner)
    s = _solved(lower, _solved(lower, inner, True, adjoint=True), True, left=False)
    return _conj(_of_triangle(s))


@rule("lu", needs="y0 y2")
def _(eq, dy, *_):
    """P A = L U, both in one array: Pᵀ dA = inv(L)ᴴ (tril(Lᴴ dY, -1) + triu(dY Uᴴ)) inv(U)ᴴ; of no square, L and U are filled up by 1."""
    packed, order, dy = eq.y[0], eq.y[2], _conj(dy)
    m, n = packed.shape[-2:]
    k = min(m, n)
    lower, upper = (_filled_up(x, size) for x, size in ((packed[..., :, :k], m), (packed[..., :k, :], n)))
    lower, upper = _tril(lower, -1) + _eye(lower), _triu(upper)
    inner = _tril(_mm(_H(lower), dy), -1) + _triu(_mm(dy, _H(upper)))
    d = _solved(upper, _solved(lower, inner, True, adjoint=True, unit=True), False, left=False, adjoint=True)
    return _conj(_rows(d, _inverse(order)))


def _filled_up(x, n):
    """To n rows and columns, by zeros, and by ones on the diagonal."""
    rows, columns = n - x.shape[-2], n - x.shape[-1]
    x = lax.pad(x, lax.full((), 0, x.dtype), [(0, 0, 0)] * (x.ndim - 2) + [(0, rows, 0), (0, columns, 0)])
    return x + _where(lambda i, j: (i == j) & (i >= n - max(rows, columns)), lax.full_like(x, 1)) if rows or columns else x


@rule("qr", needs="x0 y", symbolic_zeros=True)
def _(eq, dq, dr, *_):
    """A = Q R, by Walter and Lehmann; of a wide A the square part, since R₂ = Qᴴ A₂; of a full Q, by its first columns."""
    (a,), (q, r, *order) = eq.x, eq.y
    dq, dr = (lax.full_like(y, 0) if d is None else _conj(d) for d, y in ((dq, q), (dr, r)))
    m, n = a.shape[-2:]
    a = jnp.take_along_axis(a, order[0][..., None, :], axis=-1) if order else a
    if m < n:
        wide, d_wide = a[..., m:], dr[..., m:]
        dq = dq + _mm(wide, _H(d_wide))
        d = lax.concatenate([_thin_qr(q, r[..., :m], dq, dr[..., :m]), _mm(q, d_wide)], a.ndim - 1)
    else:
        d = _thin_qr(q[..., :n], r[..., :n, :], _of_first_columns(q, dq, n), dr[..., :n, :])
    return _conj(jnp.take_along_axis(d, _inverse(order[0])[..., None, :], axis=-1) if order else d)


def _thin_qr(q, r, dq, dr):
    """dA from dQ and dR, where R is square: with B = A' inv(R) and C = Qᴴ B, Q' = B + Q (Ω - C) and R' = (C - Ω) R, where Ω is skew, and
    of C's lower part."""
    e = _mm(_H(q), dq) - _mm(dr, _H(r))
    inner = _tril(e, -1) - _tril(_H(e), -1) - e
    if jnp.iscomplexobj(e):
        inner = inner + _diagonal(lax.complex(lax.full_like(lax.real(d := _diagonal_of(e)), 0), lax.imag(d)), e)
    return _solved(r, dq + _mm(q, inner), False, left=False, adjoint=True)


def _of_first_columns(q, dq, n):
    """The cotangent of the first n columns of a full Q, to which the others are tied, as Householder's reflections tie them:
    Q₂' = Q₁' Zᴴ - (Q₁ + Q₂ Z) (Q₁₂' - Z Q₁₁')ᴴ, where Q₁' is stacked of Q₁₁' above Q₁₂', and Z = Q₁₂ inv(Q₁₁ - 1)."""
    if q.shape[-1] == n:
        return dq
    above, below, d_rest = q[..., :n, :n], q[..., n:, :n], dq[..., n:]
    z = _H(_solve(_H(above - _eye(above)), _H(below)))
    t = _mm(_H(d_rest), q[..., :n] + _mm(q[..., n:], z))
    return dq[..., :n] + _mm(d_rest, z) + lax.concatenate([_mm(_H(z), t), lax.neg(t)], q.ndim - 2)


def _gaps(d):
    """1 / (d_j - d_i), and 0 on the diagonal."""
    shape = (*d.shape, d.shape[-1])
    column, row = (lax.broadcast_in_dim(d, shape, (*range(d.ndim - 1), i)) for i in (d.ndim, d.ndim - 1))
    one = _where(lax.eq, lax.full(shape, 1, d.dtype))
    return 1 / (column - row + one) - one


@rule("eigh", needs="y", symbolic_zeros=True)
def _(eq, dv, dw):
    """A V = V W: dA = V (diag(dw) + F ∘ Vᴴ dV) Vᴴ, F_ij = 1 / (w_j - w_i). Where values alone are asked for, equal ones are no matter."""
    v, w = eq.y
    if w.shape[-1] != v.shape[-2]:
        raise NoRuleError(
            f"no backward rule for some of the eigenvalues (subset_by_index){eq.where()}; JAX has none either. Take all of them."
        )
    inner = lax.full_like(v, 0) if dw is None else _diagonal(dw, v)
    if dv is not None:
        inner = inner + converted(_gaps(w), v.dtype) * _mm(_H(v), _conj(dv))
    return _conj(_of_triangle(_mm(v, inner, _H(v)), eq["lower"]))


@rule("svd", needs="x0 y", symbolic_zeros=True)
def _(eq, ds, du=None, dvt=None):
    """A = U S Vᴴ. With G = F ∘ Uᴴ dU, K = F ∘ Vᴴ dV and F_ij = 1 / (s_j² - s_i²): dA = U ((G + Gᴴ) S + S (K + Kᴴ) + diag(ds)) Vᴴ, and
    what of dU and dV leaves their span. The phase, which is free, is U's. Equal values are no matter where values alone are asked for.
    """
    a = eq.x[0]
    if len(eq.out_avals) == 1:
        u, s, vt = linalg.svd(a, full_matrices=False, subset_by_index=eq["subset_by_index"])
    else:
        s, u, vt = eq.y
    k, is_thin = s.shape[-1], u.shape[-1] == vt.shape[-2] == s.shape[-1]
    if k < min(a.shape[-2:]):
        raise NoRuleError(f"no backward rule for some of the singular values (subset_by_index){eq.where()}. Take all of them.")
    if not is_thin and (du is not None or dvt is not None):
        raise NoRuleError(
            f"no backward rule for the singular vectors of full_matrices=True{eq.where()}: those of the null space are not unique. "
            "Pass full_matrices=False."
        )
    u, vt = u[..., :k], vt[..., :k, :]
    v, root = _H(vt), _row(s, u)
    inner = lax.full(vt.shape[:-1] + (k,), 0, u.dtype) if ds is None else _diagonal(ds, u)
    outside = None
    if du is not None:
        du = _conj(du)
        g = _mm(_H(u), du)
        inner = inner + _hermitian(_gaps(s * s), g) * root
        if jnp.iscomplexobj(g):
            d = _diagonal_of(g)
            inner = inner + _diagonal(lax.complex(lax.full_like(s, 0), lax.imag(d) * _inverted(s)), g)
        if u.shape[-2] > k:
            outside = _mm((du - _mm(u, g)) / root, vt)
    if dvt is not None:
        dv = _H(_conj(dvt))
        g = _mm(vt, dv)
        inner = inner + _T(root) * _hermitian(_gaps(s * s), g)
        if v.shape[-2] > k:
            part = _mm(u, _H((dv - _mm(v, g)) / root))
            outside = part if outside is None else outside + part
    d = _mm(u, inner, vt)
    return _conj(d if outside is None else d + outside)


def _hermitian(f, g):
    """F ∘ G, and its adjoint."""
    g = converted(f, g.dtype) * g
    return g + _H(g)


def _row(d, like):
    """Vectors as rows that spread over matrices, in the type of another array."""
    return converted(lax.expand_dims(d, (d.ndim - 1,)), like.dtype)


def _inverted(s):
    """1 / s, and 0 for 0."""
    zero = lax.eq(s, lax.full_like(s, 0))
    return lax.select(zero, s, 1 / lax.select(zero, lax.full_like(s, 1), s))


@rule("eig", needs="x0 y", symbolic_zeros=True)
def _(eq, dw, *dvectors):
    """A V = V W: dA = inv(V)ᴴ (diag(dw) + conj(F) ∘ Vᴴ dV) Vᴴ, F_ij = 1 / (w_j - w_i), where dV holds what the scaling of the vectors, to
    norm 1 with a largest entry that is real, gives to them. The left vectors are those of Aᴴ.
    """
    a, (w, *vectors) = eq.x[0], eq.y
    if any(d is not None for d in dvectors) and not eq.params.get("enable_eigvec_derivs", True):
        raise NoRuleError(
            f"no backward rule for the eigenvectors of a general matrix{eq.where()}, which are unique up to a factor: pass "
            "enable_eigvec_derivs=True to jax.lax.linalg.eig where the loss does not depend on it."
        )
    right = (
        vectors[-1] if eq["compute_right_eigenvectors"] else linalg.eig(a, compute_left_eigenvectors=False, enable_eigvec_derivs=True)[1]
    )
    d_right = dvectors[-1] if eq["compute_right_eigenvectors"] else None
    d = _eigenvectors(w, right, dw, d_right)
    if eq["compute_left_eigenvectors"] and dvectors[0] is not None:
        d = d + _H(_eigenvectors(_conj(w), vectors[0], None, dvectors[0]))
    return converted(_conj(d), a.dtype)


def _eigenvectors(w, v, dw, dv):
    """The cotangent of a general matrix from those of its eigenvalues and its right eigenvectors, in JAX's convention."""
    inner = lax.full_like(v, 0) if dw is None else _diagonal(_conj(dw), v)
    if dv is not None:
        dv = _conj(dv)
        along = lax.reduce_sum(_conj(v) * dv, (v.ndim - 2,))  # of each vector's own scale
        size = lax.abs(v)
        row = lax.broadcasted_iota("int32", v.shape, v.ndim - 2)
        largest = row == lax.expand_dims(lax.argmax(size, v.ndim - 2, np.int32), (v.ndim - 2,))
        entry = lax.reduce_sum(lax.select(largest, lax.real(v), lax.full_like(size, 0)), (v.ndim - 2,))
        turned = lax.complex(lax.full_like(entry, 0), lax.neg(lax.imag(along) / entry))
        dv = dv - v * _row(lax.real(along), v) + lax.select(largest, jnp.broadcast_to(_row(turned, v), v.shape), lax.full_like(v, 0))
        inner = inner + _conj(_gaps(w)) * _mm(_H(v), dv)
    return _solve(_H(v), _mm(inner, _H(v)))


@rule("tridiagonal_solve", needs="x0 x1 x2 y")
def _(eq, dy):
    """T X = B: dB = inv(T)ᵀ dX, and -dB Xᵀ along the three diagonals."""
    (low, middle, high, _), (y,) = eq.x, eq.y
    options = {"perturb_singular": True} if eq.params.get("perturb_singular") else {}
    d = linalg.tridiagonal_solve(_shifted(high, 1, high.ndim - 1), middle, _shifted(low, -1, low.ndim - 1), dy, **options)
    rows = d.ndim - 2

    def diagonal(by):
        return lax.neg(lax.reduce_sum(d * _shifted(y, by, rows), (d.ndim - 1,)))

    return lambda: diagonal(1), lambda: diagonal(0), lambda: diagonal(-1), d


def _shifted(x, by, axis):
    """Moved along an axis, zeros behind."""
    config = [(by, -by, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
    return lax.pad(x, lax.full((), 0, x.dtype), config)
