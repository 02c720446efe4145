"""Modules that normalise each channel over the batch or in each example."""

import jax.numpy as jnp

from .. import functional as F
from ..functional._shared.checks import refuse
from .module import Buffer, Module, Parameter


class _ChannelNorm(Module):
    """The parameters and the running statistics of BatchNorm and InstanceNorm."""

    _ranks: tuple[int, ...]  # how many axes an input may have
    _shapes: str

    def __init__(self, num_features, eps, momentum, affine, track_running_stats, bias, dtype):
        is_size = hasattr(num_features, "__index__") and num_features >= 0
        refuse(type(self).__name__, not is_size and f"num_features must be a whole number, not negative, got {num_features!r}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = (num_features,)
        self.weight = Parameter(shape, 1.0, dtype) if affine else None
        self.bias = Parameter(shape, 0.0, dtype) if affine and bias else None
        self.running_mean = Buffer(shape, 0.0, dtype) if track_running_stats else None
        self.running_var = Buffer(shape, 1.0, dtype) if track_running_stats else None
        self.num_batches_tracked = Buffer((), 0, jnp.int32, optional=True) if track_running_stats else None

    def _check_rank(self, input):
        shape = self._shape(input)
        if len(shape) not in self._ranks:
            raise ValueError(f"expected input of shape {self._shapes}, got shape {shape}")

    def extra_repr(self):
        options = f"affine={self.affine}, bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, {options}"


class _BatchNorm(_ChannelNorm):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, *, bias=True, dtype=None):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def forward(self, input):
        self._check_rank(input)
        if self.track_running_stats and not self.training:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        if self.track_running_stats:
            count = self.num_batches_tracked + 1
            momentum = 1 / count if self.momentum is None else self.momentum  # None: the average over all batches
            statistics = F.batch_norm_statistics(input, self.running_mean, self.running_var, momentum)
            self.running_mean, self.running_var = statistics
            self.num_batches_tracked = count
        return F.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)


class BatchNorm1d(_BatchNorm):
    """Normalises each channel over the batch; in evaluation by running statistics, which are buffers.

    Shapes: (N, C) or (N, C, L), kept; weight, bias, running_mean, running_var (C,).
    Options: momentum=None averages over all batches; without track_running_stats a batch is its own statistics in evaluation too.
    Formula and backward: see `bpjax.functional.batch_norm`.
    Errors: ValueError for another shape, one value per channel in training, or missing buffers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.BatchNorm1d(3)
    >>> params, buffers = model.init(jax.random.key(0)), model.init_buffers()
    >>> y, buffers = model.apply(params, jnp.ones((2, 3)), buffers=buffers, train=True)
    >>> int(buffers["num_batches_tracked"])
    1
    """

    _ranks, _shapes = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Normalises each channel of images over the batch, as `BatchNorm1d`.

    Shapes: (N, C, H, W), kept; weight, bias, running_mean, running_var (C,).
    Formula and backward: see `bpjax.functional.batch_norm`.
    Errors: ValueError for another shape, one value per channel in training, or missing buffers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.BatchNorm2d(3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3, 4, 4)), buffers=model.init_buffers())[0].shape
    (2, 3, 4, 4)
    """

    _ranks, _shapes = (4,), "(N, C, H, W)"


class BatchNorm3d(_BatchNorm):
    """Normalises each channel of volumes over the batch, as `BatchNorm1d`.

    Shapes: (N, C, D, H, W), kept; weight, bias, running_mean, running_var (C,).
    Formula and backward: see `bpjax.functional.batch_norm`.
    Errors: ValueError for another shape, one value per channel in training, or missing buffers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.BatchNorm3d(3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3, 4, 4, 4)), buffers=model.init_buffers())[0].shape
    (2, 3, 4, 4, 4)
    """

    _ranks, _shapes = (5,), "(N, C, D, H, W)"


class _InstanceNorm(_ChannelNorm):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=False, track_running_stats=False, *, bias=True, dtype=None):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype)

    def forward(self, input):
        self._check_rank(input)
        if input.ndim == self._ranks[0]:
            return self._normalized(input[None])[0]
        return self._normalized(input)

    def _normalized(self, input):
        if self.track_running_stats and not self.training:
            return F.instance_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, eps=self.eps)
        if self.track_running_stats:
            momentum = self.momentum or 0.0  # None leaves the statistics as they are, and nothing counts the batches, as in PyTorch
            self.running_mean, self.running_var = F.instance_norm_statistics(input, self.running_mean, self.running_var, momentum)
        return F.instance_norm(input, None, None, self.weight, self.bias, eps=self.eps)


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each example; in evaluation by running statistics, which are buffers, with track_running_stats.

    Shapes: (N, C, L) or (C, L), kept; weight, bias (with affine), running_mean, running_var (C,).
    Formula and backward: see `bpjax.functional.instance_norm`.
    Errors: ValueError for another shape, one value per channel and example, or missing buffers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.InstanceNorm1d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.InstanceNorm1d(3)(jnp.ones((2, 3, 4))).shape
    (2, 3, 4)
    """

    _ranks, _shapes = (2, 3), "(N, C, L) or (C, L)"


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each image, as `InstanceNorm1d`.

    Shapes: (N, C, H, W) or (C, H, W), kept; weight, bias (with affine), running_mean, running_var (C,).
    Formula and backward: see `bpjax.functional.instance_norm`.
    Errors: ValueError for another shape, one value per channel and example, or missing buffers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.InstanceNorm2d(3)(jnp.ones((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    _ranks, _shapes = (3, 4), "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(_InstanceNorm):
    """Normalises each channel of each volume, as `InstanceNorm1d`.

    Shapes: (N, C, D, H, W) or (C, D, H, W), kept; weight, bias (with affine), running_mean, running_var (C,).
    Formula and backward: see `bpjax.functional.instance_norm`.
    Errors: ValueError for another shape, one value per channel and example, or missing buffers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.InstanceNorm3d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.InstanceNorm3d(3)(jnp.ones((2, 3, 4, 4, 4))).shape
    (2, 3, 4, 4, 4)
    """

    _ranks, _shapes = (4, 5), "(N, C, D, H, W) or (C, D, H, W)"
