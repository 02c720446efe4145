"""Poolings to a given size: adaptive ones, whose windows cover the input evenly, and fractional ones, whose windows are drawn."""

import jax
import jax.numpy as jnp
import numpy as np

from ..engine import op
from ._shared.checks import at_least_float32, floating, one_dtype, refuse
from ._shared.windows import Windows, check_image, exactly, fitted, largest, packed_taps, put_back, spread, sums, winning_indices


@op(static=("output_size",))
def adaptive_avg_pool1d(input, output_size):
    """y_i = the mean of x from floor(i L / L') to ceil((i + 1) L / L').

    Shapes: input (N, C, L) or (C, L) -> (N, C, L') or (C, L'), L' = output_size.
    Backward: that of `adaptive_avg_pool2d`.
    Errors: those of `adaptive_avg_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool1d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_avg_pool1d(jnp.arange(5.0).reshape(1, 5), 2).tolist()
    [[1.0, 3.0]]
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)[0]


@op(static=("output_size",))
def adaptive_avg_pool2d(input, output_size):
    """y_ij = the mean of x from floor(i H / H') to ceil((i + 1) H / H'), and likewise along W.

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, H', W') or (C, H', W'), output_size being H' = W', or (H', W'), None keeping a size.
    Backward: dx = Σ of dy/k over the windows that hold x, k being the number of their values; nothing is kept.
    Errors: ValueError for another shape, or sizes that are not positive; TypeError for what is not floating point.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_avg_pool2d(jnp.arange(6.0).reshape(1, 2, 3), (None, 1)).tolist()
    [[[1.0], [4.0]]]
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)[0]


@op(static=("output_size",))
def adaptive_avg_pool3d(input, output_size):
    """y_ijk = the mean of x from floor(i D / D') to ceil((i + 1) D / D'), and likewise along H and W.

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W') or (C, D', H', W'). See `adaptive_avg_pool2d`.
    Backward: that of `adaptive_avg_pool2d`.
    Errors: those of `adaptive_avg_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool3d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_avg_pool3d(jnp.arange(8.0).reshape(1, 2, 2, 2), 1).tolist()
    [[[[3.5]]]]
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)[0]


def _adaptive_avg_pool(name, n, input, output_size):
    """The means, the windows, and how many values they hold."""
    axes = _adaptive(name, n, input, output_size)
    count = np.ones(())
    for windows in axes:
        count = count[..., None] * windows.lengths
    return (sums(at_least_float32(input), axes) / count).astype(input.dtype), axes, count


adaptive_avg_pool1d.def_forward(lambda **arguments: _adaptive_avg_pool_forward("adaptive_avg_pool1d", 1, **arguments))
adaptive_avg_pool2d.def_forward(lambda **arguments: _adaptive_avg_pool_forward("adaptive_avg_pool2d", 2, **arguments))
adaptive_avg_pool3d.def_forward(lambda **arguments: _adaptive_avg_pool_forward("adaptive_avg_pool3d", 3, **arguments))


def _adaptive_avg_pool_forward(name, n, input, output_size):
    y, axes, count = _adaptive_avg_pool(name, n, input, output_size)
    return y, {"axes": axes, "count": count}


@adaptive_avg_pool1d.def_backward
@adaptive_avg_pool2d.def_backward
@adaptive_avg_pool3d.def_backward
def _(saved, dy):
    return (spread(at_least_float32(dy) / saved["count"], saved["axes"]).astype(dy.dtype),)


@op(static=("output_size", "return_indices"))
def adaptive_max_pool1d(input, output_size, return_indices=False):
    """y_i = the largest x from floor(i L / L') to ceil((i + 1) L / L').

    Shapes: input (N, C, L) or (C, L) -> (N, C, L') or (C, L'), L' = output_size. See `adaptive_max_pool2d`.
    Backward: that of `adaptive_max_pool2d`.
    Errors: those of `adaptive_max_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool1d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_max_pool1d(jnp.arange(5.0).reshape(1, 5), 2).tolist()
    [[2.0, 4.0]]
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)[0]


@op(static=("output_size", "return_indices"))
def adaptive_max_pool2d(input, output_size, return_indices=False):
    """y_ij = the largest x from floor(i H / H') to ceil((i + 1) H / H'), and likewise along W.

    Shapes: those of `adaptive_avg_pool2d`. With return_indices also where each winner stands, as h W + w. The first in row-major order wins
    a tie, and NaN wins.
    Backward: dx = Σ of dy over the windows that x won; the winner's tap is kept in one byte. The indices have no cotangent.
    Errors: those of `adaptive_avg_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool2d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_max_pool2d(jnp.arange(6.0).reshape(1, 2, 3), (None, 1)).tolist()
    [[[2.0], [5.0]]]
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)[0]


@op(static=("output_size", "return_indices"))
def adaptive_max_pool3d(input, output_size, return_indices=False):
    """y_ijk = the largest x from floor(i D / D') to ceil((i + 1) D / D'), and likewise along H and W.

    Shapes: those of `adaptive_avg_pool3d`. See `adaptive_max_pool2d`; an index is (d H + h) W + w.
    Backward: that of `adaptive_max_pool2d`.
    Errors: those of `adaptive_max_pool2d`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool3d.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_max_pool3d(jnp.arange(8.0).reshape(1, 2, 2, 2), 1).tolist()
    [[[[7.0]]]]
    """
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)[0]


def _adaptive_max_pool(name, n, input, output_size, return_indices):
    """The value, the winners' taps, and the windows."""
    axes = _adaptive(name, n, input, output_size)
    y, tap = largest(input, axes)
    return (y, winning_indices(tap, axes)) if return_indices else y, tap, axes


adaptive_max_pool1d.def_forward(lambda **arguments: _adaptive_max_pool_forward("adaptive_max_pool1d", 1, **arguments))
adaptive_max_pool2d.def_forward(lambda **arguments: _adaptive_max_pool_forward("adaptive_max_pool2d", 2, **arguments))
adaptive_max_pool3d.def_forward(lambda **arguments: _adaptive_max_pool_forward("adaptive_max_pool3d", 3, **arguments))


def _adaptive_max_pool_forward(name, n, input, output_size, return_indices):
    value, tap, axes = _adaptive_max_pool(name, n, input, output_size, return_indices)
    return value, {"tap": packed_taps(tap, axes), "axes": axes}


@adaptive_max_pool1d.def_backward
@adaptive_max_pool2d.def_backward
@adaptive_max_pool3d.def_backward
def _(saved, dy):
    dy = dy[0] if isinstance(dy, tuple) else dy  # a pair where the indices are returned
    return (put_back(dy, saved["tap"], saved["axes"]),)


def adaptive_max_pool1d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool1d` with return_indices, whatever `return_indices` says.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_max_pool1d_with_indices(jnp.arange(5.0).reshape(1, 5), 2)[1].tolist()
    [[2, 4]]
    """
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool2d` with return_indices, whatever `return_indices` says.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_max_pool2d_with_indices(jnp.arange(6.0).reshape(1, 2, 3), 1)[1].tolist()
    [[[5]]]
    """
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(input, output_size, return_indices=False):
    """`adaptive_max_pool3d` with return_indices, whatever `return_indices` says.

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.adaptive_max_pool3d_with_indices(jnp.arange(8.0).reshape(1, 2, 2, 2), 1)[1].tolist()
    [[[[7]]]]
    """
    return adaptive_max_pool3d(input, output_size, True)


def _adaptive(name, n, input, output_size):
    """The windows of an adaptive pooling."""
    check_image(name, n, input)
    floating(name, input=input)
    if isinstance(output_size, tuple) and len(output_size) == n > 1:
        output_size = tuple(size if m is None else m for m, size in zip(output_size, input.shape[-n:]))
    size = exactly(name, n, "output_size", output_size)
    refuse(name, min(size) < 1 and f"output_size must be positive, got {size}")
    return tuple(map(fitted, input.shape[-n:], size))


# -- windows that are drawn --------------------------------------------------------------------------------------------


@op(static=("kernel_size", "output_size", "output_ratio", "return_indices"))
def fractional_max_pool2d(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None, *, rng=None):
    """y = the largest value of each window; along each axis of each channel the windows begin at floor((i + u) α) - floor(u α), u drawn.

    Shapes: input (N, C, H, W) or (C, H, W) -> (N, C, H', W') or (C, H', W'), H' = output_size, or floor(output_ratio H), as a number or a
    pair. α = (H - kH) / (H' - 1), and the last window ends with the input. u in [0, 1) is `_random_samples` (N, C, 2), of W and of H, or is
    drawn from `rng`, JAX's key (PyTorch's is hidden). With return_indices also where each winner stands, as h W + w.
    Backward: dx = Σ of dy over the windows that x won; the winner's tap is kept in one byte. The indices and u have no gradient.
    Errors: ValueError for another shape, without a size or a ratio in (0, 1), where the windows do not fit, or without samples and rng;
    TypeError for what is not floating point, or for samples of another dtype.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html, https://arxiv.org/abs/1412.6071

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> F.fractional_max_pool2d(jnp.ones((1, 5, 5)), 2, output_size=3, rng=jax.random.key(0)).shape
    (1, 3, 3)
    """
    options = kernel_size, output_size, output_ratio, return_indices, _random_samples, rng
    return _fractional_max_pool("fractional_max_pool2d", 2, input, *options)[0]


@op(static=("kernel_size", "output_size", "output_ratio", "return_indices"))
def fractional_max_pool3d(input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None, *, rng=None):
    """y = the largest value of each window; along each axis of each channel the windows begin at floor((i + u) α) - floor(u α), u drawn.

    Shapes: input (N, C, D, H, W) or (C, D, H, W) -> (N, C, D', H', W') or (C, D', H', W'), `_random_samples` (N, C, 3), of D, H and W.
    See `fractional_max_pool2d`; an index is (d H + h) W + w.
    Backward: that of `fractional_max_pool2d`.
    Errors: those of `fractional_max_pool2d`; as in PyTorch, a size of kD + D' - 1 = D is one too large, too.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html, https://arxiv.org/abs/1412.6071

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> F.fractional_max_pool3d(jnp.ones((1, 5, 5, 5)), 2, output_size=3, rng=jax.random.key(0)).shape
    (1, 3, 3, 3)
    """
    options = kernel_size, output_size, output_ratio, return_indices, _random_samples, rng
    return _fractional_max_pool("fractional_max_pool3d", 3, input, *options)[0]


def _fractional_max_pool(name, n, input, kernel_size, output_size, output_ratio, return_indices, samples, rng):
    """The value, the winners' taps, and the windows."""
    check_image(name, n, input)
    floating(name, input=input)
    kernel = exactly(name, n, "kernel_size", kernel_size)
    size = _fractional_size(name, n, input.shape, kernel, output_size, output_ratio)
    axes = tuple(map(_drawn, _samples(name, n, input, samples, rng), input.shape[-n:], size, kernel))
    y, tap = largest(input, axes)
    return (y, winning_indices(tap, axes)) if return_indices else y, tap, axes


fractional_max_pool2d.def_forward(lambda **arguments: _fractional_max_pool_forward("fractional_max_pool2d", 2, **arguments))
fractional_max_pool3d.def_forward(lambda **arguments: _fractional_max_pool_forward("fractional_max_pool3d", 3, **arguments))


def _fractional_max_pool_forward(name, n, input, kernel_size, output_size, output_ratio, return_indices, _random_samples, rng):
    options = kernel_size, output_size, output_ratio, return_indices, _random_samples, rng
    value, tap, axes = _fractional_max_pool(name, n, input, *options)
    kernel, starts = [windows.taps for windows in axes], [windows.starts for windows in axes]
    return value, {"tap": packed_taps(tap, axes), "starts": starts, "kernel": kernel, "size": input.shape[-n:], "u": _random_samples}


@fractional_max_pool2d.def_backward
@fractional_max_pool3d.def_backward
def _(saved, dy):
    dy = dy[0] if isinstance(dy, tuple) else dy  # a pair where the indices are returned
    axes = tuple(map(Windows, saved["size"], saved["starts"], saved["kernel"]))
    u = saved["u"]
    return put_back(dy, saved["tap"], axes), None if u is None else jnp.zeros_like(u), None


def fractional_max_pool2d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None, *, rng=None
):
    """`fractional_max_pool2d` with return_indices, whatever `return_indices` says.

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> F.fractional_max_pool2d_with_indices(jnp.ones((1, 5, 5)), 2, output_size=3, rng=jax.random.key(0))[1].shape
    (1, 3, 3)
    """
    return fractional_max_pool2d(input, kernel_size, output_size, output_ratio, True, _random_samples, rng=rng)


def fractional_max_pool3d_with_indices(
    input, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None, *, rng=None
):
    """`fractional_max_pool3d` with return_indices, whatever `return_indices` says.

    >>> import jax, jax.numpy as jnp, bpjax.functional as F
    >>> F.fractional_max_pool3d_with_indices(jnp.ones((1, 5, 5, 5)), 2, output_size=3, rng=jax.random.key(0))[1].shape
    (1, 3, 3, 3)
    """
    return fractional_max_pool3d(input, kernel_size, output_size, output_ratio, True, _random_samples, rng=rng)


def _fractional_size(name, n, shape, kernel, output_size, output_ratio):
    """The size of the output, one that the windows fit."""
    refuse(name, output_size is None and output_ratio is None and "expected an output_size or an output_ratio, got neither")
    if output_size is not None:
        size = exactly(name, n, "output_size", output_size)
    else:
        ratio = output_ratio if isinstance(output_ratio, tuple) else (output_ratio,) * n
        refuse(
            name,
            (len(ratio) != n or not all(isinstance(r, int | float) and 0 < r < 1 for r in ratio))
            and f"output_ratio must be a number between 0 and 1 or {n} of them, got {output_ratio!r}",
        )
        size = tuple(int(m * r) for m, r in zip(shape[-n:], ratio))
    room = [m - k + (n == 2) for m, k in zip(shape[-n:], kernel)]  # one less in three dimensions, as in PyTorch
    refuse(
        name,
        min(kernel) < 1 and f"kernel_size must be positive, got {kernel}",
        min(size) < 1 and f"the output must not be empty, got the size {size}",
        any(m > r for m, r in zip(size, room)) and f"windows {kernel} for an output {size} do not fit an input of shape {shape}",
    )
    return size


def _samples(name, n, input, samples, rng):
    """The u of each axis, (N, C) or (C,)."""
    batch, channels = input.shape[: -n - 1], input.shape[-n - 1]
    wanted = (*(batch or (1,)), channels, n)
    if samples is None:
        refuse(name, rng is None and "needs rng=, a key such as jax.random.key(0), or _random_samples=")
        samples = jax.random.uniform(rng, wanted, jnp.float32)  # so that every precision draws the same
    else:
        one_dtype(name, input=input, _random_samples=samples)
        refuse(
            name,
            (samples.ndim != 3 or samples.shape[1:] != wanted[1:] or samples.shape[0] < wanted[0])
            and f"expected _random_samples of shape {wanted}, got {samples.shape}",
        )
    samples = at_least_float32(samples)
    samples = samples[: batch[0]] if batch else samples[0]
    return [samples[..., i] for i in ((1, 0) if n == 2 else range(n))]


def _drawn(u, size, count, kernel):
    """Windows of one axis for each channel."""
    starts = jnp.full((*u.shape, 1), size - kernel)
    if count > 1:
        alpha = jnp.asarray(size - kernel, u.dtype) / (count - 1)
        i = jnp.arange(count - 1, dtype=u.dtype)
        before = jnp.floor((i + u[..., None]) * alpha) - jnp.floor(u * alpha)[..., None]
        starts = jnp.concatenate([before.astype(starts.dtype), starts], -1)
    return Windows(size, starts, kernel)
