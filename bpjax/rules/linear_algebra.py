"""Products: dot_general, ragged_dot_general and convolution."""

from jax import lax

from ..engine import NoRuleError, rule
from ..program import jaxprs
from .complex import converted


@rule("dot_general", needs=["x1", "x0"])
def _(eq, dy):
    """For each operand: contract dy with the other one over the other's free dimensions, and put the axes back in order."""

    def pulled(mine, other, is_first):
        numbers, order = transposed_product(eq["dimension_numbers"], mine.ndim, other.ndim, is_first)
        precision, kind = _turned(eq["precision"], is_first), eq["preferred_element_type"]
        layout = jaxprs.explicit_sharding(mine, order)
        d = lax.dot_general(dy, other, numbers, precision=precision, preferred_element_type=kind, out_sharding=layout)
        return converted(in_order(d, order), mine.dtype)

    a, b = eq.in_avals
    return lambda: pulled(a, eq.x[1], True), lambda: pulled(b, eq.x[0], False)


def transposed_product(numbers, rank: int, other_rank: int, is_first: bool) -> tuple[tuple, list[int]]:
    """The product of dy and the other operand that is the cotangent of this one, the first or the second of a `dot_general`.

    Its dimension numbers, and of which axis of the operand each of its axes is: batch, free ones, then the contracted ones in the other's
    order.
    """
    (contract, other_contract), (batch, other_batch) = numbers if is_first else (pair[::-1] for pair in numbers)
    free = [i for i in range(rank) if i not in contract and i not in batch]
    other_free = [i for i in range(other_rank) if i not in other_contract and i not in other_batch]
    start = len(batch) + (len(free) if is_first else 0)
    dy_contract = tuple(range(start, start + len(other_free)))
    order = [*batch, *free, *(c for _, c in sorted(zip(other_contract, contract)))]
    return ((dy_contract, tuple(other_free)), (tuple(range(len(batch))), tuple(other_batch))), order


def in_order(x, order: list[int]):
    """The array whose axes are these, each at its place."""
    return lax.transpose(x, tuple(order.index(i) for i in range(len(order))))


def _turned(precision, first):
    """The precision of (dy, other) from that of (x0, x1)."""
    if not isinstance(precision, tuple):
        return precision
    return precision if first else precision[::-1]


@rule("ragged_dot_general", needs=["x1 x2", "x0 x2", ""])
def _(eq, dy):
    """Rows in groups, each with a matrix of its own. To the rows: the same, the matrices transposed; to each matrix: its rows times dy."""
    numbers = eq["ragged_dot_dimension_numbers"]
    (contract, other_contract), (batch, other_batch) = numbers.dot_dimension_numbers
    ragged, group = numbers.lhs_ragged_dimensions, numbers.rhs_group_dimensions
    (a, b, _), (rows, matrices, sizes) = eq.in_avals, eq.x
    free = [i for i in range(a.ndim) if i not in contract and i not in batch]
    other_free = [i for i in range(b.ndim) if i not in other_contract and i not in other_batch and i not in group]
    if not group or ragged[0] not in free or eq["group_offset"] is not None:
        raise NoRuleError(f"ragged_dot_general{eq.where()} has a backward where rows come in groups, not batches or contracted axes")
    n, m = len(batch), len(batch) + len(free)
    kind = {"precision": eq["precision"], "preferred_element_type": eq["preferred_element_type"], "group_offset": None}

    def to_rows():
        pairs = ((tuple(range(m, dy.ndim)), tuple(other_free)), (tuple(range(n)), tuple(other_batch)))
        dims = lax.RaggedDotDimensionNumbers(pairs, [n + free.index(ragged[0])], group)
        d = lax.ragged_dot_general(dy, matrices, sizes, dims, **kind)
        order = [*batch, *free, *(c for _, c in sorted(zip(other_contract, contract)))]
        return lax.convert_element_type(in_order(d, order), a.dtype)

    def to_matrices():
        pairs = ((tuple(free), tuple(range(n, m))), (tuple(batch), tuple(range(n))))
        dims = lax.RaggedDotDimensionNumbers(pairs, ragged, [])
        d = lax.ragged_dot_general(rows, dy, sizes, dims, **kind)
        order = [*group, *other_batch, *(c for _, c in sorted(zip(contract, other_contract))), *other_free]
        return lax.convert_element_type(in_order(d, order), b.dtype)

    return to_rows, to_matrices, None


@rule("conv_general_dilated", needs=["x1", "x0"])
def _(eq, dy):
    """dX: the strided cotangent convolved with the flipped kernel; dK: the input convolved with the cotangent."""
    dims, groups, batches = eq["dimension_numbers"], eq["feature_group_count"], eq["batch_group_count"]
    lhs, rhs, out = dims.lhs_spec, dims.rhs_spec, dims.out_spec
    strides, padding = eq["window_strides"], eq["padding"]
    lhs_dilation, rhs_dilation = eq["lhs_dilation"], eq["rhs_dilation"]
    x, k = eq.in_avals
    size_x = [(x.shape[d] - 1) * n + 1 if x.shape[d] else 0 for d, n in zip(lhs[2:], lhs_dilation)]
    size_k = [(k.shape[d] - 1) * n + 1 for d, n in zip(rhs[2:], rhs_dilation)]
    size_y = [(dy.shape[d] - 1) * n + 1 for d, n in zip(out[2:], strides)]
    kind = {"precision": eq["precision"], "preferred_element_type": eq["preferred_element_type"]}

    def d_input():
        kernel = lax.rev(lax.convert_element_type(eq.x[1], dy.dtype), rhs[2:])
        spec = (rhs[1], rhs[0], *rhs[2:])  # in and out change places
        if groups * batches > 1:
            kernel = _move_groups(kernel, groups * batches, rhs[0], rhs[1])
        low = [n - p - 1 for n, (p, _) in zip(size_k, padding)]
        high = [nx + nk - 1 - ny - lo for nx, nk, ny, lo in zip(size_x, size_k, size_y, low)]
        numbers = lax.ConvDimensionNumbers(out, spec, lhs)
        d = lax.conv_general_dilated(
            dy,
            kernel,
            lhs_dilation,
            list(zip(low, high)),
            strides,
            rhs_dilation,
            numbers,
            feature_group_count=groups * batches,
            out_sharding=jaxprs.explicit_sharding(x) if batches == 1 else None,
            **kind,
        )
        if batches > 1:
            d = _move_groups(d, batches, lhs[1], lhs[0])
        return lax.convert_element_type(d, x.dtype)

    def d_kernel():
        """Batch and features change places, and so do the two kinds of groups."""
        low = [p for p, _ in padding]
        high = [ny + nk - 1 - nx - lo for nx, nk, ny, lo in zip(size_x, size_k, size_y, low)]
        numbers = lax.ConvDimensionNumbers((lhs[1], lhs[0], *lhs[2:]), (out[1], out[0], *out[2:]), (rhs[1], rhs[0], *rhs[2:]))
        d = lax.conv_general_dilated(
            lax.convert_element_type(eq.x[0], dy.dtype),
            dy,
            rhs_dilation,
            list(zip(low, high)),
            lhs_dilation,
            strides,
            numbers,
            feature_group_count=batches,
            batch_group_count=groups,
            out_sharding=jaxprs.explicit_sharding(k),
            **kind,
        )
        return lax.convert_element_type(d, k.dtype)

    return d_input, d_kernel


def _move_groups(x, groups, source, target):
    """Split `groups` off the front of one axis and put them in front of another."""
    shape = list(x.shape)
    apart = lax.reshape(x, (*shape[:source], groups, shape[source] // groups, *shape[source + 1 :]))
    t = target + (target > source)
    order = [i for i in range(apart.ndim) if i != source]
    order.insert(order.index(t), source)
    moved = lax.transpose(apart, tuple(order))
    shape[source] //= groups
    shape[target] *= groups
    return lax.reshape(moved, tuple(shape))
