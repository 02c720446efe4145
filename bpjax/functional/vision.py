"""Images rearranged, resized and sampled: shuffles, `interpolate`, `grid_sample`, `affine_grid`."""

import itertools
import math
import numbers

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import op
from ..program import jaxprs
from ._shared.checks import at_least_float32, floating, one_dtype, refuse, wide
from ._shared.sizes import is_whole


def pixel_shuffle(input, upscale_factor):
    """Channels become pixels: (*, C r², H, W) -> (*, C, H r, W r), r = upscale_factor.

    Backward: `pixel_unshuffle` of dy, by the rules of reshape and transpose.
    Errors: ValueError where r² does not divide the channels, or r is no positive whole number.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.pixel_shuffle.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.pixel_shuffle(jnp.arange(4.0).reshape(4, 1, 1), 2).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    """
    r = _divisor("pixel_shuffle", "upscale_factor", upscale_factor)
    refuse("pixel_shuffle", input.ndim < 3 and f"expected an input (*, C, H, W), got {input.shape}")
    refuse("pixel_shuffle", input.shape[-3] % (r * r) and f"{r}² must divide the channels of {input.shape}")
    *leading, C, H, W = input.shape
    n = len(leading)
    x = _reshaped(input, (*leading, C // (r * r), r, r, H, W))
    return _reshaped(x.transpose(*range(n + 1), n + 3, n + 1, n + 4, n + 2), (*leading, C // (r * r), H * r, W * r))


def pixel_unshuffle(input, downscale_factor):
    """Pixels become channels: (*, C, H r, W r) -> (*, C r², H, W), r = downscale_factor.

    Backward: `pixel_shuffle` of dy, by the rules of reshape and transpose.
    Errors: ValueError where r does not divide height and width, or is no positive whole number.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.pixel_unshuffle.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.pixel_unshuffle(jnp.arange(4.0).reshape(1, 2, 2), 2).ravel().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    r = _divisor("pixel_unshuffle", "downscale_factor", downscale_factor)
    refuse("pixel_unshuffle", input.ndim < 3 and f"expected an input (*, C, H, W), got {input.shape}")
    refuse("pixel_unshuffle", any(n % r for n in input.shape[-2:]) and f"{r} must divide height and width of {input.shape}")
    *leading, C, H, W = input.shape
    n = len(leading)
    x = _reshaped(input, (*leading, C, H // r, r, W // r, r))
    return _reshaped(x.transpose(*range(n + 1), n + 2, n + 4, n + 1, n + 3), (*leading, C * r * r, H // r, W // r))


def _reshaped(x, shape):
    """On an explicit mesh the first axes, which stay, stay where they lie."""
    aval = jax.typeof(x)
    return jnp.reshape(x, shape, out_sharding=jaxprs.laid_out_as(aval, shape) if jaxprs.is_laid_out(aval) else None)


def channel_shuffle(input, groups):
    """Channels of the groups dealt out in turn: channel i of group g goes to place i · groups + g.

    Shapes: (N, C, *), kept.
    Backward: dy dealt back, by the rules of reshape and transpose.
    Errors: ValueError where groups does not divide C, or is no positive whole number.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.channel_shuffle(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
    [0.0, 2.0, 1.0, 3.0]
    """
    _divisor("channel_shuffle", "groups", groups)
    refuse("channel_shuffle", input.ndim < 3 and f"expected an input (N, C, *) of 3 axes or more, got {input.shape}")
    refuse("channel_shuffle", input.shape[1] % groups and f"groups={groups} must divide the channels of {input.shape}")
    N, C, *space = input.shape
    return input.reshape(N, groups, C // groups, *space).swapaxes(1, 2).reshape(input.shape)


def _divisor(name, what, value):
    refuse(name, (not is_whole(value) or value < 1) and f"{what} must be a positive whole number, got {value!r}")
    return value


# -- resizing -----------------------------------------------------------------------------------------------------------

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
_MODES = ("nearest", "nearest-exact", "area", "bicubic", "lanczos", *_LINEAR)


@op(static=("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias"))
def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None, antialias=False):
    """Resize the axes of space: along each axis y = A x, A the matrix of the mode's weights; 'nearest' picks.

    Shapes: input (N, C, *space), 1 to 3 axes of space ('linear' 1; 'bilinear', 'bicubic' and, with antialias alone, 'lanczos' 2;
    'trilinear' 3) -> (N, C, *size), or floor(scale_factor · space).
    Backward: dx = Aᵀ dy along each axis; for 'nearest' dx = Σ of dy over the places that picked x. Nothing is kept.
    Errors: ValueError for options that do not fit, TypeError for integers (but bytes in 'nearest').
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.interpolate(jnp.array([[[0.0, 2.0]]]), size=3, mode="linear", align_corners=True).tolist()
    [[[0.0, 1.0, 2.0]]]
    """
    y = input
    for axis, along in _resizing(input.shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, input.dtype):
        y = jnp.take(y, along, axis=axis) if along.ndim == 1 else _along(along, y, axis)
    return y


@interpolate.def_forward
def _(input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias):
    options = size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    return interpolate.formula(input, *options), {"shape": input.shape, "options": options}


@interpolate.def_backward
def _(saved, dy):
    dx, shape = dy, saved["shape"]
    for axis, along in reversed(_resizing(shape, *saved["options"], dy.dtype)):
        if along.ndim == 1:
            zeros = jnp.zeros((*dx.shape[:axis], shape[axis], *dx.shape[axis + 1 :]), dy.dtype)
            dx = zeros.at[(slice(None),) * axis + (along,)].add(dx)
        else:
            dx = _along(along.T, dx, axis)
    return (dx,)


def _along(A, x, axis):
    """The matrix applied to each line of one axis."""
    A = jnp.asarray(A, wide(x.dtype))
    return jnp.moveaxis(jnp.tensordot(A, x, axes=(1, axis)), 0, axis).astype(x.dtype)


def _resizing(shape, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias, dtype):
    """For each axis of space that changes: its number, and the indices it picks or the matrix of its weights."""
    n = len(shape) - 2
    linear = _LINEAR.get(mode, 2 if mode in ("bicubic", "lanczos") else n)
    refuse(
        "interpolate",
        mode not in _MODES and f"mode must be one of {', '.join(_MODES)}, got {mode!r}",
        n not in (1, 2, 3) and f"expected an input (N, C, *space) with 1 to 3 axes of space, got {shape}",
        mode in _MODES and n in (1, 2, 3) and linear != n and f"mode {mode!r} is for {linear} axes of space, got an input of shape {shape}",
        (size is None) == (scale_factor is None) and f"expected either size or scale_factor, got {size} and {scale_factor}",
        align_corners is not None
        and mode in ("nearest", "nearest-exact", "area")
        and f"align_corners is no option of mode {mode!r}: leave it None",
        antialias and mode not in _SMOOTH and f"antialias must be False in mode {mode!r}",
        mode == "lanczos" and (not antialias or align_corners) and "mode 'lanczos' needs antialias=True, and align_corners not True",
        recompute_scale_factor and size is not None and "recompute_scale_factor is for scale_factor, not for size: leave it None",
        0 in shape[1:] and f"expected an input that is empty at most in its batch, got {shape}",
    )
    is_taken = jnp.issubdtype(dtype, jnp.floating) or dtype == jnp.uint8 and mode.startswith("nearest")
    refuse("interpolate", not is_taken and f"expected a floating-point input, got {dtype}: convert with .astype", kind=TypeError)
    given, what = (size, "size") if scale_factor is None else (scale_factor, "scale_factor")
    given = given if isinstance(given, tuple) else (given,) * n
    fits = is_whole if scale_factor is None else lambda factor: isinstance(factor, numbers.Real) and math.isfinite(factor)
    refuse("interpolate", (len(given) != n or not all(map(fits, given))) and f"{what} must be a number or {n} of them, got {given}")
    factors = (None,) * n if scale_factor is None or recompute_scale_factor else given
    out = given if scale_factor is None else tuple(math.floor(m * s) for m, s in zip(shape[2:], given))
    refuse("interpolate", min(out) < 1 and f"{what} must leave an output, got {given}: its shape would be {(*shape[:2], *out)}")
    axes = []
    for axis, (m, k, factor) in enumerate(zip(shape[2:], out, factors), 2):
        follows_factor = mode == "bicubic" and not antialias or mode == "nearest" and n == 1  # PyTorch copies an axis that keeps its size
        if m != k or follows_factor and factor not in (None, 1):
            axes.append((axis, _weights(m, k, factor, mode, bool(align_corners), antialias)))
    return axes


def _weights(m, k, factor, mode, align_corners, antialias):
    """How k values are made from m: indices for 'nearest', otherwise a (k, m) matrix."""
    if mode.startswith("nearest"):  # in float32 as PyTorch reckons, so that the same value wins
        step = np.float32(1 / factor) if factor else np.float32(m) / np.float32(k)
        half = np.float32(0.5 if mode == "nearest-exact" else 0.0)
        return np.minimum(np.floor((np.arange(k, dtype=np.float32) + half) * step).astype(np.int32), m - 1)
    A = np.zeros((k, m))
    if mode == "area":
        for i in range(k):
            start, stop = i * m // k, -(-(i + 1) * m // k)
            A[i, start:stop] = 1 / (stop - start)
        return A
    step = 1 / factor if factor else m / k
    if align_corners:
        step = (m - 1) / (k - 1) if k > 1 else 0.0
    if antialias:
        return _smooth(A, step, mode)
    places = np.arange(k) * step if align_corners else (np.arange(k) + 0.5) * step - 0.5
    if mode != "bicubic":
        places = np.maximum(places, 0)
    first = np.floor(places)
    taps = _cubic(places - first) if mode == "bicubic" else [(0, 1 - (places - first)), (1, places - first)]
    for offset, weight in taps:
        np.add.at(A, (np.arange(k), np.clip(first + offset, 0, m - 1).astype(int)), weight)
    return A


def _cubic(t, a=-0.75):
    """Weights of the four neighbours of a place `t` beyond the second: Keys' kernel."""
    near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1
    far = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return [(-1, far(t + 1)), (0, near(t)), (1, near(1 - t)), (2, far(2 - t))]


def _cubic_slopes(t, a=-0.75):
    """Derivatives of `_cubic` by t."""
    near = lambda d: (3 * (a + 2) * d - 2 * (a + 3)) * d
    far = lambda d: (3 * a * d - 10 * a) * d + 8 * a
    return [far(t + 1), near(t), -near(1 - t), -far(2 - t)]


def _smooth(A, step, mode):
    """The weights of a kernel that is widened where the image shrinks."""
    k, m = A.shape
    wide = max(step, 1.0)
    taps, kernel = _SMOOTH[mode]
    reach = taps * wide
    for i in range(k):
        centre = step * (i + 0.5)
        start, stop = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), m)
        d = np.abs((np.arange(start, stop) - centre + 0.5) / wide)
        w = kernel(d)
        A[i, start:stop] = w / w.sum()
    return A


def _tent(d):
    return np.maximum(1 - d, 0)


def _keys(d):
    return np.where(d < 1, _cubic(d, -0.5)[1][1], np.where(d < 2, _cubic(d - 1, -0.5)[0][1], 0))


def _windowed_sinc(d):
    return np.where(d < 3, np.sinc(d) * np.sinc(d / 3), 0)


_SMOOTH = {"bilinear": (1, _tent), "bicubic": (2, _keys), "lanczos": (3, _windowed_sinc)}  # the kernel, and how far it reaches


# -- sampling -----------------------------------------------------------------------------------------------------------


def affine_grid(theta, size, align_corners=None):
    """The places that `grid_sample` reads for the map θ: grid = base θᵀ, base the homogeneous places of the output, from -1 to 1.

    Shapes: theta (N, 2, 3) with size (N, C, H, W), or (N, 3, 4) with size (N, C, D, H, W) -> (N, H, W, 2) or (N, D, H, W, 3).
    Backward: dθ = dgridᵀ base, by the rule of the matrix product.
    Errors: ValueError where theta and size do not fit.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.affine_grid(jnp.eye(2, 3)[None], (1, 1, 1, 2), align_corners=True).tolist()
    [[[[-1.0, 0.0], [1.0, 0.0]]]]
    """
    floating("affine_grid", theta=theta)
    refuse(
        "affine_grid",
        not (isinstance(size, tuple | list) and all(map(is_whole, size))) and f"size must be a sequence of whole numbers, got {size!r}",
    )
    n = len(size) - 2
    refuse(
        "affine_grid",
        n not in (2, 3) and f"expected size (N, C, H, W) or (N, C, D, H, W), got {size}",
        min(size, default=0) < 1 and f"expected a size of positive numbers, got {size}",
        n in (2, 3)
        and theta.shape != (size[0], n, n + 1)
        and f"expected theta of shape {(size[0], n, n + 1)} for size {size}, got {theta.shape}",
    )
    lines = []
    for m in size[:1:-1]:  # the last axis is x, the first coordinate
        ends = np.linspace(-1, 1, m) if m > 1 else np.zeros(1)
        lines.append(ends if align_corners else ends * (m - 1) / m)
    base = np.stack([*np.meshgrid(*lines[::-1], indexing="ij")[::-1], np.ones(size[2:])], -1)
    grid = jnp.asarray(base.reshape(-1, n + 1), theta.dtype) @ theta.swapaxes(1, 2)
    return grid.reshape(size[0], *size[2:], n)


@op(static=("mode", "padding_mode", "align_corners"))
def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """y = x at the places of the grid, -1 and 1 being the image's ends: Σ over neighbours of x Π_a w_a, w_a the mode's weight on axis a.

    Shapes: input (N, C, H, W) with grid (N, H', W', 2) of (x, y), or input (N, C, D, H, W) with grid (N, D', H', W', 3)
    -> (N, C, H', W') or (N, C, D', H', W').
    Backward: dx = Σ of Π w dy scattered to the neighbours;  dgrid_a = Σ_c dy Σ x w_a' Π_{b≠a} w_b, times the size of a pixel;
    0 where 'border' cuts off and for 'nearest'.
    A place that is NaN reads the first value of its axis for 'border' and 'reflection' (there an infinite one, too), and 0 for 'zeros';
    its derivative is 0. With 'bicubic' y is NaN there for 'border' and 'reflection'.
    Errors: ValueError where shapes or options do not fit, TypeError for several dtypes.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.grid_sample(jnp.array([[[[1.0, 3.0]]]]), jnp.zeros((1, 1, 1, 2))).tolist()
    [[[[2.0]]]]
    """
    _check_grid(input, grid, mode, padding_mode)
    x, y = at_least_float32(input), 0
    for index, weights, _ in _neighbours(x, grid, mode, padding_mode, bool(align_corners)):
        y = y + _at(x, index) * math.prod(weights)[:, None]
    return y.astype(input.dtype)


@grid_sample.def_forward
def _(input, grid, mode, padding_mode, align_corners):
    y = grid_sample.formula(input, grid, mode, padding_mode, align_corners)
    return y, {"x": input, "grid": grid, "options": (mode, padding_mode, bool(align_corners))}


@grid_sample.def_backward
def _(saved, dy):
    x, grid, dy = at_least_float32(saved["x"]), saved["grid"], at_least_float32(dy)
    dx, dgrid = jnp.zeros_like(x), [0] * grid.shape[-1]
    for index, weights, slopes in _neighbours(x, grid, *saved["options"]):
        dx = _added_at(dx, index, dy * math.prod(weights)[:, None])
        along = (dy * _at(x, index)).sum(1)  # over channels
        for a, slope in enumerate(slopes):
            dgrid[a] = dgrid[a] + along * slope * math.prod(w for b, w in enumerate(weights) if b != a)
    # the coordinates of a grid begin with the last axis of space
    return dx.astype(grid.dtype), jnp.stack(jnp.broadcast_arrays(*dgrid[::-1]), -1).astype(grid.dtype)


def _check_grid(x, grid, mode, padding_mode):
    n = x.ndim - 2
    floating("grid_sample", input=x, grid=grid)
    one_dtype("grid_sample", input=x, grid=grid)
    refuse(
        "grid_sample",
        n not in (2, 3) and f"expected an input (N, C, H, W) or (N, C, D, H, W), got {x.shape}",
        (grid.ndim != x.ndim or grid.shape[0] != x.shape[0] or grid.shape[-1] != n)
        and f"expected a grid ({x.shape[0]}, {'D, ' * (n == 3)}H, W, {n}) for an input of shape {x.shape}, got {grid.shape}",
        min(x.shape[2:], default=0) < 1 and f"expected an input with at least one value along each axis of space, got {x.shape}",
        mode not in ("bilinear", "nearest", "bicubic") and f"mode must be 'bilinear', 'nearest' or 'bicubic', got {mode!r}",
        mode == "bicubic" and n == 3 and f"mode 'bicubic' is for inputs (N, C, H, W), got {x.shape}",
        padding_mode not in ("zeros", "border", "reflection")
        and f"padding_mode must be 'zeros', 'border' or 'reflection', got {padding_mode!r}",
    )


def _neighbours(x, grid, mode, padding_mode, align_corners):
    """Each combination of neighbours: their indices along the axes of space, weights, and the weights' derivatives by the grid."""
    axes, grid = [], at_least_float32(grid)
    for a, m in enumerate(x.shape[2:]):
        coordinate = grid[..., grid.shape[-1] - 1 - a]
        scale = (m - 1) / 2 if align_corners else m / 2
        place = (coordinate + 1) * scale if align_corners else (coordinate + 1) * scale - 0.5
        axes.append(_taps(place, scale, m, mode, padding_mode, align_corners))
    for taps in itertools.product(*axes):
        index, weights, slopes = zip(*taps)
        yield index, weights, slopes


def _taps(place, scale, m, mode, padding_mode, align_corners):
    """The neighbours of places along one axis of m values: index, weight (0 outside), derivative of the weight by the grid."""
    bounded = lambda p: _bounded(p, m, padding_mode, align_corners)
    if mode == "bicubic":  # the neighbours are brought inside one by one
        first = jnp.floor(place)
        weights, slopes = _cubic(place - first), _cubic_slopes(place - first)
        found = [(bounded(lax.stop_gradient(first + offset))[0], w, slope) for (offset, w), slope in zip(weights, slopes)]
    else:
        place, inward = bounded(place)
        if mode == "nearest":
            found = [(lax.stop_gradient(jnp.round(place)), jnp.ones_like(place), jnp.zeros_like(place))]
        else:
            first = lax.stop_gradient(jnp.floor(place))
            t = place - first
            found = [(first, 1 - t, -inward), (first + 1, t, inward)]
    taps = []
    for index, w, slope in found:
        inside = (index >= 0) & (index <= m - 1)
        keep = lambda v, inside=inside: jnp.where(inside, v, 0)
        taps.append((jnp.clip(keep(index), 0, m - 1).astype(jnp.int32), keep(w), keep(slope) * scale))
    return taps


def _bounded(place, m, padding_mode, align_corners):
    """Places brought into the image, and the derivative of that."""
    if padding_mode == "zeros":
        return place, jnp.ones_like(place)
    sign = jnp.ones_like(place)
    if padding_mode == "reflection":
        low, span = (0.0, m - 1) if align_corners else (-0.5, m)
        if span == 0:
            return jnp.zeros_like(place), jnp.zeros_like(place)
        away = place - low
        sign = jnp.where(away < 0, -1.0, 1.0).astype(place.dtype)
        away = away * sign
        flips = lax.stop_gradient(jnp.floor(away / span))
        rest = away - flips * span
        even = flips % 2 == 0
        place = jnp.where(even, rest, span - rest) + low
        sign = jnp.where(even, sign, -sign)
    cut = ~((place > 0) & (place < m - 1))  # PyTorch's derivative is 0 at the border itself
    edge = lax.stop_gradient(jnp.where(jnp.isnan(place), 0, jnp.clip(place, 0, m - 1)))  # it takes the first value where the place is NaN
    return jnp.where(cut, edge, place), jnp.where(cut, 0, sign)


def _at(x, index):
    """x[n, :, i, j] for indices (N, *places): (N, C, *places)."""
    batch = jnp.arange(x.shape[0]).reshape(-1, *[1] * (index[0].ndim - 1))
    return jnp.moveaxis(x[(batch, slice(None), *index)], -1, 1)


def _added_at(dx, index, dy):
    batch = jnp.arange(dx.shape[0]).reshape(-1, *[1] * (index[0].ndim - 1))
    return dx.at[(batch, slice(None), *index)].add(jnp.moveaxis(dy, 1, -1))
