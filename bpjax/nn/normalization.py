"""Modules of normalization."""

import jax.numpy as jnp

from .. import functional as F
from .module import Buffer, Module, Parameter


class LayerNorm(Module):
    """Normalises the last axes.

    Shapes: (*, *normalized_shape), kept.
    Formula and backward: see `bpjax.functional.layer_norm`.
    Errors: ValueError where the input does not end in normalized_shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LayerNorm(3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3))).shape
    (2, 3)
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True, bias=True, *, dtype=None):
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = Parameter(self.normalized_shape, 1.0, dtype) if elementwise_affine else None
        self.bias = Parameter(self.normalized_shape, 0.0, dtype) if elementwise_affine and bias else None

    def forward(self, input):
        shape = self._shape(input)
        if shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ValueError(f"expected input ending in {self.normalized_shape}, got shape {shape}")
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """Normalises the last axes. By their root mean square.

    Shapes: (*, *normalized_shape), kept.
    Formula and backward: see `bpjax.functional.rms_norm`.
    Errors: ValueError where the input does not end in normalized_shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.RMSNorm(3)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3))).shape
    (2, 3)
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, *, dtype=None):
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = Parameter(self.normalized_shape, 1.0, dtype) if elementwise_affine else None

    def forward(self, input):
        shape = self._shape(input)
        if shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise ValueError(f"expected input ending in {self.normalized_shape}, got shape {shape}")
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class BatchNorm1d(Module):
    """Normalises each channel over the batch; in evaluation by running statistics, which are buffers.

    Shapes: (N, C) or (N, C, L), kept; weight, bias, running_mean, running_var (C,).
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

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, *, dtype=None):
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter((num_features,), 1.0, dtype) if affine else None
        self.bias = Parameter((num_features,), 0.0, dtype) if affine else None
        if track_running_stats:
            self.running_mean = Buffer((num_features,), 0.0, dtype)
            self.running_var = Buffer((num_features,), 1.0, dtype)
            self.num_batches_tracked = Buffer((), 0, jnp.int32)

    def forward(self, input):
        shape = self._shape(input)
        if len(shape) not in (2, 3) or shape[1] != self.num_features:
            expected = f"(N, {self.num_features}) or (N, {self.num_features}, L)"
            raise ValueError(f"expected input of shape {expected}, got shape {shape}")
        if not self.track_running_stats:
            return F.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)
        if not self.training:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        mean, var, count = self.running_mean, self.running_var, self.num_batches_tracked + 1
        output = F.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps)
        momentum = 1 / count if self.momentum is None else self.momentum  # None: the average over all batches
        self.running_mean, self.running_var = F.batch_norm_statistics(input, mean, var, momentum)
        self.num_batches_tracked = count
        return output

    def extra_repr(self):
        options = f"eps={self.eps}, momentum={self.momentum}, affine={self.affine}, track_running_stats={self.track_running_stats}"
        return f"{self.num_features}, {options}"
