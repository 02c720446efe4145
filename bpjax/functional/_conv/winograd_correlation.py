"""The three maps of dense_correlation.py for kernels of 3 x 3 taps, by Winograd's short products: 16 for a tile of 2 x 2 values, not 36.

    y = Aᵀ [Σ_c (G W[o, c] Gᵀ) ⊙ (Bᵀ x[c] B)] A    for each tile of 4 x 4 values of x, two places after the last
    W[o, c] = Gᵀ [Σ (A y[o] Aᵀ) ⊙ (Bᵀ x[c] B)] G    over the tiles, the transpose of the first in W

(https://arxiv.org/abs/1509.09308, F(2 x 2, 3 x 3)). Each of the 16 places of a tile is one product of matrices, which sums over channels or
tiles. The tiles of some examples are there at a time. On a CPU they take 0.4 to 0.8 of the time of XLA's
convolution. Float32 errors are 0.3 to 0.7 of its with 64 channels, and in y twice as large with 512.
"""

import math
import operator
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax

from ...engine import added_up, after, along, shared
from .._shared.chunks import even_rows, in_chunks
from .._shared.sizes import is_known

__all__ = ()  # no layers

B_T = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
G = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
A_T = ((1, 1, 1, 0), (0, 1, -1, -1))
G_T, A = tuple(zip(*G)), tuple(zip(*A_T))

FEWEST_CHANNELS, FEWEST_TILES = 64, 128  # with fewer it is no faster
FEWEST_PRODUCTS = 2**24  # at each place; with fewer it saves little time, and the tiles take more memory than it is worth
VALUES = 2**19  # of the image that are met at a time; of image and result together where both become tiles


def is_for(W, windows, shape):
    """Whether the kernels have 3 x 3 taps side by side, at every place, in one group; and whether there is enough to do."""
    is_plain = windows[:2] == ((3, 3), (1, 1)) and windows[3:] == ((1, 1), 1) and W.dtype in (jnp.float32, jnp.float64)
    if not is_plain or not is_known(*shape) or min(W.shape[:2]) < FEWEST_CHANNELS:
        return False
    tiles = shape[0] * math.prod(-(-n // 2) for n in windows.positions(shape[2:]))
    return tiles >= FEWEST_TILES and tiles * math.prod(W.shape[:2]) >= FEWEST_PRODUCTS


def correlate(x, W, windows):
    """y[o] = Σ_c W[o, c] ⋆ x[c]."""
    axes = [*along("examples", x), *along(None, W)]
    return shared(partial(_correlate, windows=windows), (x, W), axes, along("examples", x))[0]


def _correlate(over, x, W, windows):
    size = windows.positions(x.shape[2:])
    W = after(W, [x])  # or XLA makes the tiles of all layers' kernels at the beginning of a program
    kernels = _both(G, [[W[..., i, j] for j in range(3)] for i in range(3)])

    def step(_, chunk):
        tiles = _both(B_T, _tiles(4, _channels_last(*chunk), windows.padding, size))
        products = jax.tree.map(partial(jnp.einsum, "nhwc,oc->nhwo"), tiles, kernels)
        return None, _joined(_both(A_T, products))[:, : size[0], : size[1]]

    _, y = in_chunks(step, None, even_rows(len(x), x.size, VALUES), (x,))
    return [y.transpose(0, 3, 1, 2)]


def input_grad(y, W, windows, size):
    """x[c] = Σ_o W[o, c] placed at each position of y[o], times the value there: y meets the flipped kernel, in and out exchanged."""
    around = tuple((r - p, n - m + p) for r, (p, _), n, m in zip(windows.reach, windows.padding, size, y.shape[2:]))
    return correlate(y, lax.rev(W, (2, 3)).swapaxes(0, 1), windows._replace(padding=around))


def weight_grad(x, y, windows):
    """W[o, c] = Σ_n x[n, c] ⋆ y[n, o]."""
    return shared(partial(_weight_grad, windows=windows), (x, y), along("examples", x, y), along(None, x))[0]


def _weight_grad(over, x, y, windows):
    size, shape = y.shape[2:], (y.shape[1], x.shape[1])

    def step(sums, chunk):
        y, x = (a.transpose(0, 2, 3, 1) for a in chunk)
        of_x, of_y = _both(B_T, _tiles(4, x, windows.padding, size)), _both(A, _tiles(2, y, ((0, 0), (0, 0)), size))
        return jax.tree.map(lambda sum, b, a: sum + jnp.einsum("nhwo,nhwc->oc", b, a), sums, of_y, of_x), None

    sums, _ = in_chunks(step, [[jnp.zeros(shape, x.dtype)] * 4] * 4, even_rows(len(x), x.size + y.size, VALUES), (y, x))
    return [added_up(jnp.stack(jax.tree.leaves(_both(G_T, sums)), -1).reshape(*shape, 3, 3), over["examples"])]


def _channels_last(x):
    """(N, C, H, W) as (N, H, W, C), behind a barrier: XLA would transpose it value by value, where it is read."""
    return lax.optimization_barrier(x.transpose(0, 2, 3, 1))


def _both(M, square):
    """M square Mᵀ, the square one of arrays."""
    half = [[_combined(row, column) for column in zip(*square)] for row in M]
    return [[_combined(row, line) for row in M] for line in half]


def _combined(weights, arrays):
    return reduce(operator.add, (w * a for w, a in zip(weights, arrays) if w))


def _tiles(width, x, padding, size):
    """The tiles of this width, two places apart, that the results of this size are made of: a square of (N, *tiles, C), place by place."""
    around = [(before, after + n % 2, 0) for (before, after), n in zip(padding, size)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *around, (0, 0, 0)])
    ends = [n + n % 2 - 1 for n in size]
    place = lambda i, j: lax.slice(x, (0, i, j, 0), (len(x), i + ends[0], j + ends[1], x.shape[-1]), (1, 2, 2, 1))
    return [[place(i, j) for j in range(width)] for i in range(width)]


def _joined(tiles):
    """The image (N, H, W, C) of these tiles of 2 x 2."""
    image = jnp.stack(jax.tree.leaves(tiles)).reshape(2, 2, *tiles[0][0].shape).transpose(2, 3, 0, 4, 1, 5)
    n, h, _, w, _, c = image.shape
    return image.reshape(n, 2 * h, 2 * w, c)
