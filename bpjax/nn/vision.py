"""Modules that rearrange and resize images."""

from .. import functional as F
from .module import Module


class PixelShuffle(Module):
    """Channels become pixels: (*, C r², H, W) -> (*, C, H r, W r).

    Formula and backward: see `bpjax.functional.pixel_shuffle`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.PixelShuffle(2)(jnp.ones((1, 4, 3, 3))).shape
    (1, 1, 6, 6)
    """

    def __init__(self, upscale_factor):
        self.upscale_factor = upscale_factor

    def forward(self, input):
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels: (*, C, H r, W r) -> (*, C r², H, W).

    Formula and backward: see `bpjax.functional.pixel_unshuffle`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.PixelUnshuffle(2)(jnp.ones((1, 1, 6, 6))).shape
    (1, 4, 3, 3)
    """

    def __init__(self, downscale_factor):
        self.downscale_factor = downscale_factor

    def forward(self, input):
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels of the groups dealt out in turn.

    Shapes: (N, C, *), kept.
    Formula and backward: see `bpjax.functional.channel_shuffle`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.ChannelShuffle(2)(jnp.ones((1, 4, 3, 3))).shape
    (1, 4, 3, 3)
    """

    def __init__(self, groups):
        self.groups = groups

    def forward(self, input):
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self):
        return f"groups={self.groups}"


class Upsample(Module):
    """Resizes the axes of space to `size`, or by `scale_factor`.

    Shapes: (N, C, *space) -> (N, C, *size).
    Formula and backward: see `bpjax.functional.interpolate`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.Upsample.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.Upsample(scale_factor=2)(jnp.ones((1, 1, 3, 3))).shape
    (1, 1, 6, 6)
    """

    def __init__(self, size=None, scale_factor=None, mode="nearest", align_corners=None, recompute_scale_factor=None):
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor = tuple(map(_factor, scale_factor)) if isinstance(scale_factor, tuple | list) else _factor(scale_factor)
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input):
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners, self.recompute_scale_factor)

    def extra_repr(self):
        size = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resizes images; each pixel is the nearest one.

    Shapes: (N, C, H, W) -> (N, C, H', W').
    Formula and backward: see `bpjax.functional.interpolate`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.UpsamplingNearest2d(scale_factor=2)(jnp.ones((1, 1, 3, 3))).shape
    (1, 1, 6, 6)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resizes images bilinearly, corner pixels on corners.

    Shapes: (N, C, H, W) -> (N, C, H', W').
    Formula and backward: see `bpjax.functional.interpolate`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html

    >>> import jax.numpy as jnp
    >>> from bpjax import nn
    >>> nn.UpsamplingBilinear2d(scale_factor=2)(jnp.ones((1, 1, 3, 3))).shape
    (1, 1, 6, 6)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


def _factor(value):
    """A number as a float; anything else as it is, for the function to refuse."""
    return float(value) if hasattr(value, "__float__") else value
