"""Lazy modules: sizes are told by the sample inputs of `model.init(rng, *sample_inputs)`."""

from .batch_norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Lazy


class _Readable(Lazy):
    """Has the attributes of what it becomes from the start, and prints them; the size that is `unknown` is 0 until then."""

    unknown: str

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.__dict__.update((name, value) for name, value in vars(self._without_input()).items() if not name.startswith("_"))

    def _without_input(self):
        return self.becomes(**{self.unknown: 0}, **self._arguments)

    def extra_repr(self):
        return self._without_input().extra_repr()


class LazyLinear(_Readable):
    """A Linear that takes in_features from its input.

    Shapes: (*, in_features) -> (*, out_features).
    Formula and backward: see `bpjax.functional.linear`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyLinear.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyLinear(3)
    >>> params = model.init(jax.random.key(0), jnp.ones((5, 2)))
    >>> model
    Linear(in_features=2, out_features=3, bias=True)
    """

    becomes = Linear
    unknown = "in_features"

    def __init__(self, out_features, bias=True, *, dtype=None):
        super().__init__(out_features=out_features, bias=bias, dtype=dtype)

    def missing(self, input):
        return {"in_features": self._shape(input)[-1]}


class _LazyConvNd(_Readable):
    """Takes in_channels from the axis before those of space."""

    unknown = "in_channels"

    def missing(self, input):
        return {"in_channels": self._channels(input)}


class _LazyConv(_LazyConvNd):
    def __init__(
        self, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True, padding_mode="zeros", *, dtype=None
    ):
        super().__init__(
            out_channels=out_channels, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, groups=groups,
            bias=bias, padding_mode=padding_mode, dtype=dtype,
        )  # fmt: skip


class _LazyConvTranspose(_LazyConvNd):
    def __init__(
        self,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        *,
        dtype=None,
    ):
        super().__init__(
            out_channels=out_channels, kernel_size=kernel_size, stride=stride, padding=padding, output_padding=output_padding,
            groups=groups, bias=bias, dilation=dilation, padding_mode=padding_mode, dtype=dtype,
        )  # fmt: skip


class _LazyNorm(_Readable):
    """Takes num_features from its input."""

    unknown = "num_features"

    def __init__(self, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, *, bias=True, dtype=None):
        options = {"affine": affine, "track_running_stats": track_running_stats, "bias": bias}
        super().__init__(eps=eps, momentum=momentum, **options, dtype=dtype)


class _LazyBatchNorm(_LazyNorm):
    """The second axis has the features."""

    def missing(self, input):
        shape = self._shape(input)
        if len(shape) < 2:
            raise ValueError(f"expected an input (N, C, *), got shape {shape}")
        return {"num_features": shape[1]}


class _LazyInstanceNorm(_LazyNorm):
    """The axis before those of space has the features."""

    def missing(self, input):
        return {"num_features": self._channels(input)}


class LazyConv1d(_LazyConv):
    """A Conv1d that takes in_channels from its input.

    Shapes, formula and backward: see `bpjax.nn.Conv1d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyConv1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyConv1d(4, 3)
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6)))
    >>> model
    Conv1d(3, 4, kernel_size=(3,), stride=(1,))
    """

    becomes = Conv1d
    space = 1


class LazyConv2d(_LazyConv):
    """A Conv2d that takes in_channels from its input.

    Shapes, formula and backward: see `bpjax.nn.Conv2d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyConv2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyConv2d(4, 3)
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6, 6)))
    >>> model
    Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
    """

    becomes = Conv2d
    space = 2


class LazyConv3d(_LazyConv):
    """A Conv3d that takes in_channels from its input.

    Shapes, formula and backward: see `bpjax.nn.Conv3d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyConv3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyConv3d(4, 3)
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6, 6, 6)))
    >>> model
    Conv3d(3, 4, kernel_size=(3, 3, 3), stride=(1, 1, 1))
    """

    becomes = Conv3d
    space = 3


class LazyConvTranspose1d(_LazyConvTranspose):
    """A ConvTranspose1d that takes in_channels from its input.

    Shapes, formula and backward: see `bpjax.nn.ConvTranspose1d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyConvTranspose1d(4, 3)
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6)))
    >>> model
    ConvTranspose1d(3, 4, kernel_size=(3,), stride=(1,))
    """

    becomes = ConvTranspose1d
    space = 1


class LazyConvTranspose2d(_LazyConvTranspose):
    """A ConvTranspose2d that takes in_channels from its input.

    Shapes, formula and backward: see `bpjax.nn.ConvTranspose2d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyConvTranspose2d(4, 3)
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6, 6)))
    >>> model
    ConvTranspose2d(3, 4, kernel_size=(3, 3), stride=(1, 1))
    """

    becomes = ConvTranspose2d
    space = 2


class LazyConvTranspose3d(_LazyConvTranspose):
    """A ConvTranspose3d that takes in_channels from its input.

    Shapes, formula and backward: see `bpjax.nn.ConvTranspose3d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyConvTranspose3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyConvTranspose3d(4, 3)
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6, 6, 6)))
    >>> model
    ConvTranspose3d(3, 4, kernel_size=(3, 3, 3), stride=(1, 1, 1))
    """

    becomes = ConvTranspose3d
    space = 3


class LazyBatchNorm1d(_LazyBatchNorm):
    """A BatchNorm1d that takes num_features from its input.

    Shapes, formula and backward: see `bpjax.nn.BatchNorm1d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyBatchNorm1d()
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6)))
    >>> model
    BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    becomes = BatchNorm1d
    space = 1


class LazyBatchNorm2d(_LazyBatchNorm):
    """A BatchNorm2d that takes num_features from its input.

    Shapes, formula and backward: see `bpjax.nn.BatchNorm2d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyBatchNorm2d()
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6, 6)))
    >>> model
    BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    becomes = BatchNorm2d
    space = 2


class LazyBatchNorm3d(_LazyBatchNorm):
    """A BatchNorm3d that takes num_features from its input.

    Shapes, formula and backward: see `bpjax.nn.BatchNorm3d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyBatchNorm3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyBatchNorm3d()
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6, 6, 6)))
    >>> model
    BatchNorm3d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    becomes = BatchNorm3d
    space = 3


class LazyInstanceNorm1d(_LazyInstanceNorm):
    """A InstanceNorm1d that takes num_features from its input.

    Shapes, formula and backward: see `bpjax.nn.InstanceNorm1d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm1d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyInstanceNorm1d()
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6)))
    >>> model
    InstanceNorm1d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    becomes = InstanceNorm1d
    space = 1


class LazyInstanceNorm2d(_LazyInstanceNorm):
    """A InstanceNorm2d that takes num_features from its input.

    Shapes, formula and backward: see `bpjax.nn.InstanceNorm2d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm2d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyInstanceNorm2d()
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6, 6)))
    >>> model
    InstanceNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    becomes = InstanceNorm2d
    space = 2


class LazyInstanceNorm3d(_LazyInstanceNorm):
    """A InstanceNorm3d that takes num_features from its input.

    Shapes, formula and backward: see `bpjax.nn.InstanceNorm3d`.
    Errors: ValueError where it is applied before `init` has met a sample input.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LazyInstanceNorm3d.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LazyInstanceNorm3d()
    >>> params = model.init(jax.random.key(0), jnp.ones((2, 3, 6, 6, 6)))
    >>> model
    InstanceNorm3d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    becomes = InstanceNorm3d
    space = 3
