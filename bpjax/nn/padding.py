"""Modules of padding."""

from .. import functional as F
from ..functional._shared.sizes import sizes
from .module import Module


class _Pad(Module):
    """What paddings have in common. A subclass says how many `dimensions` it pads, and in which mode."""

    dimensions: int
    mode: str

    def __init__(self, padding):
        name, n = type(self).__name__, 2 * self.dimensions
        if isinstance(padding, tuple | list) and len(padding) != n:
            raise ValueError(f"{name}: padding must be a whole number or {n} of them, got {padding!r}")
        self.padding = sizes(name, n, "padding", padding)

    def forward(self, input):
        self._shape(input)
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, input):
        self._shape(input)
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ReflectionPad1d(_Pad):
    """Sequences mirrored at their edge values; `padding` is a number or (left, right).

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function: padding must be smaller than the axis.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReflectionPad1d(2)(jnp.arange(4.0)[None]).tolist()
    [[2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """

    dimensions, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Images mirrored at their edge values; `padding` is a number or (left, right, top, bottom).

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function: padding must be smaller than the axis.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReflectionPad2d(1)(jnp.ones((2, 3, 3))).shape
    (2, 5, 5)
    """

    dimensions, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Volumes mirrored at their edge values; `padding` is a number or (left, right, top, bottom, front, back).

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function: padding must be smaller than the axis.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReflectionPad3d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReflectionPad3d(1)(jnp.ones((1, 2, 2, 2))).shape
    (1, 4, 4, 4)
    """

    dimensions, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Sequences continued with their edge values; `padding` is a number or (left, right).

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReplicationPad1d((1, 2))(jnp.arange(3.0)[None]).tolist()
    [[0.0, 0.0, 1.0, 2.0, 2.0, 2.0]]
    """

    dimensions, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Images continued with their edge values; `padding` is a number or (left, right, top, bottom).

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReplicationPad2d((1, 0, 2, 0))(jnp.ones((1, 2, 3, 3))).shape
    (1, 2, 5, 4)
    """

    dimensions, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Volumes continued with their edge values; `padding` is a number or (left, right, top, bottom, front, back).

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ReplicationPad3d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ReplicationPad3d(2)(jnp.ones((1, 1, 2, 3, 1))).shape
    (1, 1, 6, 7, 5)
    """

    dimensions, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Sequences continued from their other end; `padding` is a number or (left, right).

    Shapes: (N, C, L) or (C, L).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function: padding must be at most the axis.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.CircularPad1d((1, 2))(jnp.arange(3.0)[None]).tolist()
    [[2.0, 0.0, 1.0, 2.0, 0.0, 1.0]]
    """

    dimensions, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Images continued from their other end; `padding` is a number or (left, right, top, bottom).

    Shapes: (N, C, H, W) or (C, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function: padding must be at most the axis.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.CircularPad2d(1)(jnp.arange(4.0).reshape(1, 2, 2))[0, 0].tolist()
    [3.0, 2.0, 3.0, 2.0]
    """

    dimensions, mode = 2, "circular"


class CircularPad3d(_Pad):
    """Volumes continued from their other end; `padding` is a number or (left, right, top, bottom, front, back).

    Shapes: (N, C, D, H, W) or (C, D, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function: padding must be at most the axis.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.CircularPad3d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.CircularPad3d((0, 0, 1, 1, 0, 0))(jnp.ones((1, 2, 2, 2))).shape
    (1, 2, 4, 2)
    """

    dimensions, mode = 3, "circular"


class ConstantPad1d(_ConstantPad):
    """Sequences surrounded by a value; `padding` is a number or (left, right).

    Shapes: (*, L).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ConstantPad1d((1, -1), 7.0)(jnp.arange(3.0)).tolist()
    [7.0, 0.0, 1.0]
    """

    dimensions = 1


class ConstantPad2d(_ConstantPad):
    """Images surrounded by a value; `padding` is a number or (left, right, top, bottom).

    Shapes: (*, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ConstantPad2d((0, 1, 0, 0), 0.5)(jnp.ones((2, 1))).tolist()
    [[1.0, 0.5], [1.0, 0.5]]
    """

    dimensions = 2


class ConstantPad3d(_ConstantPad):
    """Volumes surrounded by a value; `padding` is a number or (left, right, top, bottom, front, back).

    Shapes: (*, D, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ConstantPad3d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ConstantPad3d(1, 2.0)(jnp.ones((1, 1, 1))).sum().item()
    53.0
    """

    dimensions = 3


class ZeroPad1d(ConstantPad1d):
    """Sequences surrounded by zeros; `padding` is a number or (left, right).

    Shapes: (*, L).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ZeroPad1d((2, 1))(jnp.ones(2)).tolist()
    [0.0, 0.0, 1.0, 1.0, 0.0]
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Images surrounded by zeros; `padding` is a number or (left, right, top, bottom).

    Shapes: (*, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ZeroPad2d((1, 0, 0, 1))(jnp.ones((1, 2))).tolist()
    [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Volumes surrounded by zeros; `padding` is a number or (left, right, top, bottom, front, back).

    Shapes: (*, D, H, W).
    Formula and backward: see `bpjax.functional.pad`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ZeroPad3d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ZeroPad3d(1)(jnp.ones((1, 1, 1))).shape
    (3, 3, 3)
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"
