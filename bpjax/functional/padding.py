"""Padding: constant, by reflection, by the edge, around in a circle."""

import jax.numpy as jnp
from jax import lax

from ._shared.checks import refuse
from ._shared.sizes import is_whole


def pad(input, pad, mode="constant", value=None):
    """The array with `pad` values before and after: (before, after) of the last axis, then of the one before it, and so on.

    A negative number takes values away: before the circle is closed, after the edge has been reflected or repeated.
    Shapes: with "constant" any; else one, two or three axes are padded, and before them stand channels and perhaps a batch.
    Backward: dx = dy summed over the copies of each value: the middle of dy, and its borders (reflected, summed, or from the other end).
    Errors: ValueError where `pad` does not fit the shape: a reflection of the whole axis or more, more than once around the circle.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.pad.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> x = jnp.arange(1.0, 4.0)[None]
    >>> F.pad(x, (1, 2)).tolist(), F.pad(x, (1, 2), "circular").tolist()
    ([[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]], [[3.0, 1.0, 2.0, 3.0, 1.0, 2.0]])
    """
    widths = _widths(input, pad, mode, value)
    if mode == "constant":
        fill = jnp.asarray(0 if value is None else value).astype(input.dtype)
        return lax.pad(input, fill, [(before, after, 0) for before, after in widths])
    for axis, (before, after) in enumerate(widths):
        if before or after:
            input = _BORDERS[mode](input, axis, before, after)
    return input


def _reflected(x, axis, before, after):
    n = x.shape[axis]
    first = lax.slice_in_dim(x, 1, 1 + max(before, 0), axis=axis)
    last = lax.slice_in_dim(x, n - 1 - max(after, 0), n - 1, axis=axis)
    return _cut(lax.concatenate([lax.rev(first, (axis,)), x, lax.rev(last, (axis,))], axis), axis, before, after)


def _replicated(x, axis, before, after):
    n = x.shape[axis]
    first, last = lax.slice_in_dim(x, 0, 1, axis=axis), lax.slice_in_dim(x, n - 1, n, axis=axis)
    copies = [jnp.broadcast_to(edge, (*x.shape[:axis], max(k, 0), *x.shape[axis + 1 :])) for edge, k in ((first, before), (last, after))]
    return _cut(lax.concatenate([copies[0], x, copies[1]], axis), axis, before, after)


def _wrapped(x, axis, before, after):
    x = _cut(x, axis, before, after)
    n = x.shape[axis]
    first, last = lax.slice_in_dim(x, 0, max(after, 0), axis=axis), lax.slice_in_dim(x, n - max(before, 0), n, axis=axis)
    return lax.concatenate([last, x, first], axis)


def _cut(x, axis, before, after):
    """Without what negative padding takes away."""
    return lax.slice_in_dim(x, max(-before, 0), x.shape[axis] - max(-after, 0), axis=axis)


_BORDERS = {"reflect": _reflected, "replicate": _replicated, "circular": _wrapped}


def _widths(x, pad, mode, value):
    """(before, after) of every axis."""
    refuse(
        "pad",
        mode != "constant" and mode not in _BORDERS and f"mode must be 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}",
        not (isinstance(pad, tuple | list) and all(map(is_whole, pad))) and f"pad must be a sequence of whole numbers, got {pad!r}",
    )
    refuse("pad", not (value is None or hasattr(value, "__float__")) and f"value must be a number, got {value!r}", kind=TypeError)
    n = len(pad) // 2
    refuse(
        "pad",
        len(pad) % 2 and f"pad must have two numbers for each axis, got {len(pad)}: {pad}",
        n > x.ndim and f"pad has numbers for {n} axes, got an input of shape {x.shape}",
    )
    if mode != "constant":
        _check_border(x, n, mode, value)
    widths = [(0, 0)] * (x.ndim - n) + [(int(pad[2 * i]), int(pad[2 * i + 1])) for i in reversed(range(n))]
    problems = [_problem(mode, size, *width) for size, width in zip(x.shape, widths) if any(width)]
    refuse("pad", *(problem and f"{problem}; got pad {pad} for an input of shape {x.shape}" for problem in problems))
    return widths


def _check_border(x, n, mode, value):
    """Refuse what only constants may pad."""
    copies = mode != "circular"
    refuse(
        "pad",
        (not 1 <= n <= 3 or x.ndim not in (n + 1, n + 2))
        and f"mode {mode!r} pads 1, 2 or 3 axes behind channels, or behind a batch and channels; got {n} for an input of shape {x.shape}",
        copies and 0 in x.shape[-n - 1 :] and f"mode {mode!r} needs an input that is not empty but in its batch, got shape {x.shape}",
        value and f"mode {mode!r} takes no value, got {value}",
    )
    refuse("pad", copies and x.dtype == bool and f"mode {mode!r} takes numbers, got bool: convert with .astype", kind=TypeError)


def _problem(mode, size, before, after):
    """What is wrong with padding an axis of this size, or None."""
    kept = size + min(before, 0) + min(after, 0)
    if kept < 0 if mode in ("constant", "circular") else size + before + after < 1:
        return f"({before}, {after}) takes more than there is of an axis of {size}"
    most = {"reflect": size - 1, "circular": kept}.get(mode)
    if most is not None and max(before, after) > most:
        return f"{mode} padding can add at most {most} to an axis of {size} at either end, not ({before}, {after})"
