"""Sparse arrays of `jax.experimental.sparse`, BCOO and BCSR: the gradient of what is stored is read at the places where that is stored.

Indices have no gradient, and what lies beside them is no number that could have one: a cotangent has the sparsity of its array.
"""

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import rule
from .linear_algebra import in_order, transposed_product


def _bcoo(data, indices, shape):
    from jax.experimental import sparse  # imported here: whoever has such an array has it already, and it is slow

    return sparse.BCOO((data, indices), shape=tuple(shape))


def _dense(data, indices, shape):
    return _bcoo(data, indices, shape).todense()


def _sizes(indices) -> tuple[int, int]:
    """How many axes are batched, and how many sparse."""
    return indices.ndim - 2, indices.shape[-1]


def _read(indices, dense, assume_unique=True):
    """What stands in a dense array at the indices."""
    from jax.experimental import sparse

    stored = jnp.zeros((*indices.shape[:-1], *dense.shape[sum(_sizes(indices)) :]), dense.dtype)
    return sparse.bcoo_extract(_bcoo(stored, indices, dense.shape), dense, assume_unique=assume_unique).data


def _as_stored(d, aval):
    """A cotangent in the shape of the stored data, which may be broadcast along the batch."""
    axes = tuple(i for i, (n, m) in enumerate(zip(aval.shape, d.shape)) if n != m)
    return jnp.sum(d, axes, keepdims=True).astype(aval.dtype) if axes else d.astype(aval.dtype)


# ---- between dense and sparse ----


@rule("bcoo_todense", needs="x1")
def _(eq, dy):
    return _as_stored(_read(eq.x[1], dy), eq.in_avals[0]), None


@rule("bcoo_fromdense", needs="y1")
def _(eq, d_data, _):
    return _dense(d_data, eq.y[1], eq.in_avals[0].shape)


@rule("bcoo_extract", needs="x0")
def _(eq, d_data):
    indices, aval = eq.x[0], eq.in_avals[1]
    if not eq["assume_unique"]:  # what stands twice was read once
        d_data = d_data * _read(indices, jnp.ones(aval.shape, aval.dtype), assume_unique=False)
    return None, _dense(d_data, indices, aval.shape)


# ---- the order of what is stored ----


@rule("bcoo_transpose")
def _(eq, d_data, _):
    data, indices = eq.in_avals
    n_batch, n_sparse = _sizes(indices)
    order = [p if p < n_batch else p - n_sparse + 1 for p in eq["permutation"] if not n_batch <= p < n_batch + n_sparse]
    order.insert(n_batch, n_batch)
    return in_order(d_data, order), None


@rule("bcoo_sort_indices", needs="x1")
def _(eq, d_data, _):
    from jax.experimental import sparse

    indices, aval = eq.x[1], eq.in_avals[0]
    n_batch, n_sparse = _sizes(indices)
    number = lax.broadcasted_iota(indices.dtype, indices.shape[:-1], n_batch)
    order = sparse.bcoo_sort_indices(_bcoo(number, indices, eq["spinfo"].shape[: n_batch + n_sparse])).data
    back = jnp.argsort(order, axis=n_batch).reshape(*order.shape, *[1] * (d_data.ndim - order.ndim))
    return _as_stored(jnp.take_along_axis(d_data, back, n_batch), aval), None


@rule("bcoo_sum_duplicates", needs="x1")
def _(eq, d_data, _):
    indices, aval = eq.x[1], eq.in_avals[0]
    n_batch, n_sparse = _sizes(indices)
    beyond = jnp.asarray(eq["spinfo"].shape[n_batch : n_batch + n_sparse], indices.dtype)

    def placed(indices, d):
        """The cotangent of the place in which each of these was summed."""
        inside = jnp.where(jnp.all(indices < beyond, -1, keepdims=True), indices, beyond)
        _, place = jnp.unique(inside, axis=0, return_inverse=True, size=indices.shape[0], fill_value=beyond)
        return d.at[place.reshape(-1)].get(mode="fill", fill_value=0)

    if n_sparse == 0:
        return jnp.broadcast_to(d_data, (*d_data.shape[:n_batch], aval.shape[n_batch], *d_data.shape[n_batch + 1 :])), None
    for _ in range(n_batch):
        placed = jax.vmap(placed)
    indices = jnp.broadcast_to(indices, (*d_data.shape[:n_batch], *indices.shape[n_batch:]))
    return _as_stored(placed(indices, d_data), aval), None


# ---- products ----


def _to_stored(eq, data, indices, rhs, dy, shape):
    """dy·rhs, at the indices alone where they name all axes but those of the batch."""
    from jax.experimental import sparse

    numbers, order = transposed_product(eq["dimension_numbers"], len(shape), rhs.ndim, True)
    n_batch, n_sparse = _sizes(indices)
    first = list(range(n_batch))
    if order[:n_batch] == first == list(eq["dimension_numbers"][1][0]) and n_batch + n_sparse == len(shape):
        turned = indices[..., [axis - n_batch for axis in order[n_batch:]]]
        turned = jnp.broadcast_to(turned, (*shape[:n_batch], *turned.shape[n_batch:]))
        return _as_stored(sparse.bcoo_dot_general_sampled(dy, rhs, turned, dimension_numbers=numbers), data)
    return _as_stored(_read(indices, in_order(lax.dot_general(dy, rhs, numbers, precision=lax.Precision.HIGHEST), order)), data)


def _to_dense(eq, data, indices, rhs, dy, shape):
    """The sparse array, transposed, times dy."""
    from jax.experimental import sparse

    ((of_dy, of_sparse), (batch_of_dy, batch)), order = transposed_product(eq["dimension_numbers"], rhs.ndim, len(shape), False)
    turned = (of_sparse, of_dy), (batch, batch_of_dy)
    n, contracted = len(batch), len(shape) - len(batch) - len(of_sparse)
    order = [*order[:n], *order[len(order) - contracted :], *order[n : len(order) - contracted]]  # the sparse one comes first here
    product, lhs = sparse.bcoo_dot_general, _bcoo(data, indices, shape)
    if any(axis >= sum(_sizes(indices)) for axis in of_sparse):  # which sparse products do not contract
        product, lhs = lax.dot_general, lhs.todense()
    d = product(lhs, dy, dimension_numbers=turned)
    return in_order(d, order).astype(rhs.dtype)


@rule("bcoo_dot_general", needs=["x1 x2", "", "x0 x1"])
def _(eq, dy):
    (data, _, rhs), shape = eq.in_avals, eq["lhs_spinfo"].shape
    return lambda: _to_stored(eq, data, eq.x[1], eq.x[2], dy, shape), None, lambda: _to_dense(eq, eq.x[0], eq.x[1], rhs, dy, shape)


@rule("bcoo_dot_general_sampled", needs=["x1 x2", "x0 x2", ""])
def _(eq, d_data):
    """A·B at the indices alone."""
    a, b, _ = eq.in_avals
    (contract_a, contract_b), (batch_a, batch_b) = eq["dimension_numbers"]
    free = [[n for i, n in enumerate(x.shape) if i not in (*c, *t)] for x, c, t in ((a, contract_a, batch_a), (b, contract_b, batch_b))]
    dy = _dense(d_data, eq.x[2], [*(a.shape[i] for i in batch_a), *free[0], *free[1]])

    def pulled(mine, other, is_first):
        numbers, order = transposed_product(eq["dimension_numbers"], mine.ndim, other.ndim, is_first)
        return in_order(lax.dot_general(dy, other, numbers, precision=lax.Precision.HIGHEST), order).astype(mine.dtype)

    return lambda: pulled(a, eq.x[1], True), lambda: pulled(b, eq.x[0], False), None


# ---- BCSR: the same, with the rows' indices written as where each row begins ----


def _indices(columns, pointers, shape):
    from jax.experimental import sparse

    stored = jnp.zeros((*columns.shape, *shape[columns.ndim + 1 :]))
    return sparse.BCSR((stored, columns, pointers), shape=tuple(shape)).to_bcoo().indices


@rule("bcsr_todense", needs="x1 x2")
def _(eq, dy):
    return _as_stored(_read(_indices(eq.x[1], eq.x[2], dy.shape), dy), eq.in_avals[0]), None, None


@rule("bcsr_fromdense", needs="y1 y2")
def _(eq, d_data, *_):
    shape = eq.in_avals[0].shape
    return _dense(d_data, _indices(eq.y[1], eq.y[2], shape), shape)


@rule("bcsr_extract", needs="x0 x1")
def _(eq, d_data):
    shape = eq.in_avals[2].shape
    return None, None, _dense(d_data, _indices(eq.x[0], eq.x[1], shape), shape)


@rule("bcsr_dot_general", needs=["x1 x2 x3", "", "", "x0 x1 x2"])
def _(eq, dy):
    (data, *_, rhs), shape = eq.in_avals, eq["lhs_spinfo"].shape
    indices = _indices(eq.x[1], eq.x[2], shape)
    return lambda: _to_stored(eq, data, indices, eq.x[3], dy, shape), None, None, lambda: _to_dense(eq, eq.x[0], indices, rhs, dy, shape)
