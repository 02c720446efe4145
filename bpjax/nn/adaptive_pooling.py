"""Modules of poolings to a given size."""

from .. import functional as F
from ..functional._shared.checks import refuse
from ..functional._shared.sizes import is_whole
from .module import Buffer, Module
from .pooling import _tuple


class _AdaptivePool(Module):
    def __init__(self, output_size):
        self.output_size = output_size

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePool):
    """The means of `output_size` windows that cover the input.

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.adaptive_avg_pool1d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AdaptiveAvgPool1d(2)(jnp.ones((1, 1, 5))).shape
    (1, 1, 2)
    """

    def forward(self, input):
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePool):
    """The means of `output_size` windows that cover the input. None keeps a size.

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.adaptive_avg_pool2d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AdaptiveAvgPool2d(2)(jnp.ones((1, 1, 5, 5))).shape
    (1, 1, 2, 2)
    """

    def forward(self, input):
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptivePool):
    """The means of `output_size` windows that cover the input. None keeps a size.

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.adaptive_avg_pool3d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AdaptiveAvgPool3d(2)(jnp.ones((1, 1, 5, 5, 5))).shape
    (1, 1, 2, 2, 2)
    """

    def forward(self, input):
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPool(_AdaptivePool):
    def __init__(self, output_size, return_indices=False):
        self.output_size, self.return_indices = output_size, return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest values of `output_size` windows that cover the input.

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.adaptive_max_pool1d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AdaptiveMaxPool1d(2)(jnp.ones((1, 1, 5))).shape
    (1, 1, 2)
    """

    def forward(self, input):
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest values of `output_size` windows that cover the input. None keeps a size.

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.adaptive_max_pool2d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AdaptiveMaxPool2d(2)(jnp.ones((1, 1, 5, 5))).shape
    (1, 1, 2, 2)
    """

    def forward(self, input):
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest values of `output_size` windows that cover the input. None keeps a size.

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.adaptive_max_pool3d`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.AdaptiveMaxPool3d(2)(jnp.ones((1, 1, 5, 5, 5))).shape
    (1, 1, 2, 2, 2)
    """

    def forward(self, input):
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _FractionalMaxPool(Module):
    def _options(self, n, kernel_size, output_size, output_ratio, return_indices, samples):
        name = type(self).__name__
        refuse(
            name,
            (output_size is None) == (output_ratio is None)
            and f"expected either an output_size or an output_ratio, got {output_size!r} and {output_ratio!r}",
        )
        self.kernel_size, self.return_indices = _tuple(n, kernel_size), return_indices
        self.output_size = None if output_size is None else _tuple(n, output_size)
        self.output_ratio = None if output_ratio is None else _tuple(n, output_ratio)
        refuse(
            name,
            not all(is_whole(k) and k > 0 for k in self.kernel_size) and f"kernel_size must be positive, got {kernel_size!r}",
            output_ratio is not None
            and not all(isinstance(r, int | float) and 0 < r < 1 for r in self.output_ratio)
            and f"output_ratio must lie between 0 and 1, got {output_ratio!r}",
        )
        self._random_samples = None if samples is None else Buffer(samples, constant=True)

    def _drawn(self, function, input):
        samples = self._random_samples
        rng = self.next_key() if samples is None else None
        options = self.kernel_size, self.output_size, self.output_ratio, self.return_indices
        return function(input, *options, _random_samples=samples, rng=rng)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest values of windows that are drawn for each channel, in training and evaluation alike.

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.fractional_max_pool2d`.
    Errors: ValueError for a size and a ratio together, or neither, or without a key (`apply(..., rng=...)`) and samples.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> pool, x = nn.FractionalMaxPool2d(2, output_ratio=0.5), jnp.ones((1, 1, 6, 6))
    >>> pool.apply({}, x, rng=jax.random.key(0)).shape
    (1, 1, 3, 3)
    """

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        self._options(2, kernel_size, output_size, output_ratio, return_indices, _random_samples)

    def forward(self, input):
        return self._drawn(F.fractional_max_pool2d, input)


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest values of windows that are drawn for each channel, in training and evaluation alike.

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.fractional_max_pool3d`.
    Errors: ValueError for a size and a ratio together, or neither, or without a key (`apply(..., rng=...)`) and samples.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> pool, x = nn.FractionalMaxPool3d(2, output_ratio=0.5), jnp.ones((1, 1, 6, 6, 6))
    >>> pool.apply({}, x, rng=jax.random.key(0)).shape
    (1, 1, 3, 3, 3)
    """

    def __init__(self, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None):
        self._options(3, kernel_size, output_size, output_ratio, return_indices, _random_samples)

    def forward(self, input):
        return self._drawn(F.fractional_max_pool3d, input)
