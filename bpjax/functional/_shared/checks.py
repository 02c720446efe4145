"""What a function refuses: every mismatch in one error, before JAX sees the arrays."""

import jax.numpy as jnp


def refuse(name, *problems, kind=ValueError):
    """Raise one error that lists the problems; those that are None or False are none.

    >>> refuse("linear", False, None)
    >>> refuse("linear", "expected 2 axes, got 3", "expected a bias of shape (2,), got (3,)")
    Traceback (most recent call last):
    ValueError: linear: expected 2 axes, got 3; expected a bias of shape (2,), got (3,)
    """
    found = [p for p in problems if p]
    if found:
        raise kind(f"{name}: {'; '.join(found)}")


def are_arrays(name, *required, **arrays):
    """Refuse what is no array, such as a list; None passes, but for those whose names are required.

    >>> are_arrays("linear", "input", input=jnp.ones(2), bias=None)
    >>> are_arrays("linear", "input", input=[1.0, 2.0])
    Traceback (most recent call last):
    TypeError: linear: expected input as an array, got a list: convert with jnp.asarray
    """
    strange = {n: type(a).__name__ for n, a in arrays.items() if (a is not None or n in required) and not hasattr(a, "dtype")}
    if strange:
        got = ", ".join(f"{n} as an array, got a {kind}" for n, kind in strange.items())
        raise TypeError(f"{name}: expected {got}: convert with jnp.asarray")


def one_dtype(name, **arrays):
    """Refuse arrays of several dtypes, as PyTorch does; None is no array.

    >>> one_dtype("linear", input=jnp.ones(2), weight=jnp.ones((3, 2)), bias=None)
    >>> one_dtype("linear", input=jnp.ones(2), weight=jnp.ones((3, 2), jnp.bfloat16))
    Traceback (most recent call last):
    TypeError: linear: expected one dtype, got input float32, weight bfloat16: convert with .astype
    """
    are_arrays(name, **arrays)
    dtypes = {n: a.dtype for n, a in arrays.items() if a is not None}
    if len(set(dtypes.values())) > 1:
        raise TypeError(f"{name}: expected one dtype, got {', '.join(f'{n} {d}' for n, d in dtypes.items())}: convert with .astype")


def floating(name, **arrays):
    """Refuse what is not floating point; None is no array.

    >>> floating("softmax", input=jnp.arange(3))
    Traceback (most recent call last):
    TypeError: softmax: expected a floating-point input, got int32: convert with .astype
    """
    are_arrays(name, **arrays)
    for n, a in arrays.items():
        if a is not None and not jnp.issubdtype(a.dtype, jnp.floating):
            raise TypeError(f"{name}: expected a floating-point {n}, got {a.dtype}: convert with .astype")


def inexact(name, **arrays):
    """Refuse what is neither floating point nor complex; None is no array.

    >>> inexact("linear", input=jnp.arange(3))
    Traceback (most recent call last):
    TypeError: linear: expected a floating-point or complex input, got int32: convert with .astype
    """
    are_arrays(name, **arrays)
    for n, a in arrays.items():
        if a is not None and not jnp.issubdtype(a.dtype, jnp.inexact):
            raise TypeError(f"{name}: expected a floating-point or complex {n}, got {a.dtype}: convert with .astype")


def numbers(name, **arrays):
    """Refuse what is neither whole nor floating-point numbers; None is no array.

    >>> numbers("mse_loss", target=jnp.arange(3))
    >>> numbers("mse_loss", target=jnp.ones(3, bool))
    Traceback (most recent call last):
    TypeError: mse_loss: expected target to hold real numbers, got bool: convert with .astype
    """
    are_arrays(name, **arrays)
    for n, a in arrays.items():
        if a is not None and not jnp.issubdtype(a.dtype, jnp.integer) and not jnp.issubdtype(a.dtype, jnp.floating):
            raise TypeError(f"{name}: expected {n} to hold real numbers, got {a.dtype}: convert with .astype")


def one_shape(name, **arrays):
    """Refuse arrays of several shapes; None is no array.

    >>> one_shape("mse_loss", input=jnp.ones(2), target=jnp.ones(2), weight=None)
    >>> one_shape("mse_loss", input=jnp.ones(2), target=jnp.ones((2, 1)))
    Traceback (most recent call last):
    ValueError: mse_loss: expected one shape, got input (2,), target (2, 1): reshape, or spread with jnp.broadcast_to
    """
    are_arrays(name, **arrays)
    shapes = {n: a.shape for n, a in arrays.items() if a is not None}
    if len(set(shapes.values())) > 1:
        got = ", ".join(f"{n} {s}" for n, s in shapes.items())
        raise ValueError(f"{name}: expected one shape, got {got}: reshape, or spread with jnp.broadcast_to")


def broadcast_shape(name, **arrays):
    """The shape that the arrays have together; refused where they do not broadcast to one. None is no array.

    >>> broadcast_shape("kl_div", input=jnp.ones((2, 3)), target=jnp.ones(3), weight=None)
    (2, 3)
    >>> broadcast_shape("kl_div", input=jnp.ones(2), target=jnp.ones(3))
    Traceback (most recent call last):
    ValueError: kl_div: expected shapes that broadcast to each other, got input (2,), target (3,)
    """
    are_arrays(name, **arrays)
    shapes = {n: a.shape for n, a in arrays.items() if a is not None}
    try:
        return jnp.broadcast_shapes(*shapes.values())
    except ValueError:
        got = ", ".join(f"{n} {s}" for n, s in shapes.items())
        raise ValueError(f"{name}: expected shapes that broadcast to each other, got {got}") from None


def at_least_float32(x):
    """The array in float32 where it has less: what sums over many values are computed in."""
    return x.astype(wide(x.dtype))


def wide(dtype):
    """The dtype of sums over many values of this one: at least float32."""
    return jnp.promote_types(dtype, jnp.float32)
