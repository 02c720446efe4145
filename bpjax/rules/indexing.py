"""Gather, scatter and slices at traced positions: what is read is added back, what is written is read back."""

import math

import jax.numpy as jnp
from jax import lax

from ..engine import NoRuleError, rule
from ..program import jaxprs


def _adding(eq):
    """Gather's dimension numbers as those of the scatter-add that undoes it."""
    d = eq["dimension_numbers"]
    return lax.ScatterDimensionNumbers(
        update_window_dims=d.offset_dims,
        inserted_window_dims=d.collapsed_slice_dims,
        scatter_dims_to_operand_dims=d.start_index_map,
        operand_batching_dims=d.operand_batching_dims,
        scatter_indices_batching_dims=d.start_indices_batching_dims,
    )


def _reading(d):
    """Scatter's dimension numbers as those of the gather that reads the same windows."""
    return lax.GatherDimensionNumbers(
        offset_dims=d.update_window_dims,
        collapsed_slice_dims=d.inserted_window_dims,
        start_index_map=d.scatter_dims_to_operand_dims,
        operand_batching_dims=d.operand_batching_dims,
        start_indices_batching_dims=d.scatter_indices_batching_dims,
    )


def _window(eq):
    """Sizes of the windows that a scatter writes, one for each axis of its operand."""
    d, operand, updates = eq["dimension_numbers"], eq.in_avals[0], eq.in_avals[2]
    single = {*d.inserted_window_dims, *d.operand_batching_dims}
    sizes = iter(updates.shape[i] for i in d.update_window_dims)
    return tuple(1 if i in single else next(sizes) for i in range(len(operand.shape)))


@rule("gather", needs="x1")
def _(eq, dy):
    return lax.scatter_add(jaxprs.zeros(eq.in_avals[0]), eq.x[1], dy, _adding(eq), **_options(eq)), None


def _options(eq):
    return {"indices_are_sorted": eq["indices_are_sorted"], "unique_indices": eq["unique_indices"], "mode": eq["mode"]}


def _read(eq, dy):
    """The windows of dy that a scatter wrote to; zero where they were dropped."""
    return lax.gather(dy, eq.x[1], _reading(eq["dimension_numbers"]), _window(eq), fill_value=0, **_options(eq))


for _name in ("scatter-add", "scatter_add"):

    @rule(_name, needs="x1")
    def _(eq, dy):
        return lambda: dy, None, lambda: _read(eq, dy)


for _name in ("scatter-sub", "scatter_sub"):

    @rule(_name, needs="x1")
    def _(eq, dy):
        return lambda: dy, None, lambda: lax.neg(_read(eq, dy))


@rule("scatter", needs="x1")
def _(eq, dy):
    """The last of several writes to one place is the one that counts; we mark each write with its number to see which.

    Where no place is written twice, dy itself is written over, in place.
    """
    operand, updates = eq.in_avals[0], eq.in_avals[2]
    if eq["update_jaxpr"] is not None:
        raise NoRuleError(f"scatter_apply (x.at[i].apply(f)){eq.where()} has no backward rule; write x.at[i].set(f(x[i])).")
    options = _options(eq)
    if eq["unique_indices"] or math.prod(eq.in_avals[1].shape[:-1]) == 1:
        nothing = jnp.zeros(updates.shape, dy.dtype)
        return lambda: lax.scatter(dy, eq.x[1], nothing, eq["dimension_numbers"], **options), None, lambda: _read(eq, dy)
    number = lax.reshape(lax.iota("int32", math.prod(updates.shape)) + 1, updates.shape)
    owner = lax.scatter(jnp.zeros(operand.shape, "int32"), eq.x[1], number, eq["dimension_numbers"], **options)
    seen = lax.gather(owner, eq.x[1], _reading(eq["dimension_numbers"]), _window(eq), fill_value=0, **options)
    zero = lax.full_like(dy, 0)
    return (
        lambda: lax.select(lax.eq(owner, lax.full_like(owner, 0)), dy, zero),
        None,
        lambda: lax.select(lax.eq(seen, number), _read(eq, dy), jnp.zeros(updates.shape, updates.dtype)),
    )


for _name in ("scatter-mul", "scatter_mul"):

    @rule(_name, needs=["x1 x2", "", "x0 x1"])
    def _(eq, dy):
        def updates():
            if not eq["unique_indices"]:  # repeated factors would need each other
                where = eq.where()
                raise NoRuleError(f"the factors of scatter-mul{where} are differentiated only with unique_indices=True, as in JAX.")
            return _read(eq, dy * eq.x[0])

        return lambda: lax.scatter_mul(dy, eq.x[1], eq.x[2], eq["dimension_numbers"], **_options(eq)), None, updates


def _extremum(name):
    """What won takes the cotangent; several winners, and the operand if it equals them, share equally."""

    @rule(name, needs="x y")
    def _(eq, dy):
        operand, indices, updates = eq.x
        numbers, options, zero = eq["dimension_numbers"], _options(eq), lax.full_like(operand, 0)
        touched = lax.scatter_add(zero, indices, lax.full_like(updates, 1), numbers, **options)
        won = lax.convert_element_type(lax.eq(updates, _read(eq, eq.y[0])), dy.dtype)
        kept = lax.convert_element_type(lax.eq(operand, eq.y[0]), dy.dtype)
        winners = lax.scatter_add(kept, indices, won, numbers, **options)
        share = dy / lax.max(winners, lax.full_like(dy, 1))
        return lambda: lax.select(lax.eq(touched, zero), dy, share * kept), None, lambda: _read(eq, share) * won


for _name in ("scatter-max", "scatter_max", "scatter-min", "scatter_min"):
    _extremum(_name)


_AS_GIVEN = {"allow_negative_indices": False}  # the equation's starts are not to be counted from the end a second time


@rule("dynamic_slice", needs=lambda active: " ".join(f"x{i}" for i in range(1, len(active))))
def _(eq, dy):
    aval = eq.in_avals[0]
    d = lax.dynamic_update_slice(jnp.zeros(aval.shape, aval.dtype), dy, eq.x[1:], **_AS_GIVEN)
    return d, *[None] * (len(eq.in_avals) - 1)


@rule("dynamic_update_slice", needs=lambda active: " ".join(f"x{i}" for i in range(2, len(active))))
def _(eq, dy):
    start, update = eq.x[2:], eq.in_avals[1]
    return (
        lambda: lax.dynamic_update_slice(dy, jnp.zeros(update.shape, update.dtype), start, **_AS_GIVEN),
        lambda: lax.dynamic_slice(dy, start, update.shape, **_AS_GIVEN),
        *[None] * (len(eq.in_avals) - 2),
    )
