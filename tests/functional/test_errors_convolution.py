"""What convolutions, folding and padding refuse, and that the message says what came."""

import jax.numpy as jnp
import pytest

import bpjax.functional as F
from bpjax import nn

image, kernel = jnp.ones((1, 4, 5, 5)), jnp.ones((6, 4, 3, 3))
few, spread = jnp.ones((1, 4, 3, 3)), jnp.ones((4, 6, 3, 3))


def half(x):
    return x.astype(jnp.float16)


REFUSALS = [
    (lambda: F.conv1d(jnp.ones(5), jnp.ones((1, 1, 1))), r"conv1d: expected an input \(N, C, L\) or \(C, L\).* got \(5,\) and \(1, 1, 1\)"),
    (lambda: F.conv2d(image, jnp.ones((6, 4, 3))), r"weight \(O, C/groups, kH, kW\), got \(1, 4, 5, 5\) and \(6, 4, 3\)"),
    (lambda: F.conv3d(image[None, None], jnp.ones((1, 1, 1, 1, 1))), r"\(C, D, H, W\).* got \(1, 1, 1, 4, 5, 5\)"),
    (lambda: F.conv2d(image, kernel[:, :3]), r"weight of shape \(6, 3, 3, 3\) in 1 groups takes 3 channels, got .*\(1, 4, 5, 5\)"),
    (lambda: F.conv2d(image, kernel[:5, :2], groups=2), r"divisible by groups=2, got \(5, 2, 3, 3\)"),
    (lambda: F.conv2d(image, kernel, groups=0), "groups must be a positive whole number, got 0"),
    (lambda: F.conv2d(image, kernel, jnp.ones(4)), r"bias of shape \(6,\), got \(4,\)"),
    (lambda: F.conv2d(image, jnp.ones((6, 4, 6, 6))), r"kernel \(6, 6\).* larger than the padded input \(5, 5\)"),
    (lambda: F.conv2d(image, kernel, dilation=3), "dilation .3, 3. is larger"),
    (lambda: F.conv2d(image[..., :0], kernel, padding=3), "not empty"),
    (lambda: F.conv2d(image, kernel[:, :, :0]), "expected a kernel"),
    (lambda: F.conv2d(image, kernel, stride=0), r"stride must be positive, got \(0, 0\)"),
    (lambda: F.conv2d(image, kernel, stride=(1, 2, 3)), r"stride must be a whole number or 2 of them, got \(1, 2, 3\)"),
    (lambda: F.conv2d(image, kernel, stride=1.5), "stride must be a whole number"),
    (lambda: F.conv2d(image, kernel, dilation=0), "dilation must be positive"),
    (lambda: F.conv2d(image, kernel, padding=-1), r"padding must not be negative, got \(-1, -1\)"),
    (lambda: F.conv2d(image, kernel, padding="full"), "'valid' or 'same', got 'full'"),
    (lambda: F.conv2d(image, kernel, padding="same", stride=2), "needs stride 1"),
    (lambda: F.conv2d(half(image), kernel), "one dtype, got input float16, weight float32"),
    (lambda: F.conv2d(image, kernel, half(jnp.ones(6))), "one dtype"),
    (lambda: F.conv2d(image.astype(int), kernel.astype(int)), "floating-point or complex input, got int"),
    (lambda: F.conv_transpose2d(few, spread[:3]), r"takes 3 channels, got an input of shape \(1, 4, 3, 3\)"),
    (lambda: F.conv_transpose2d(few, spread, jnp.ones(4)), r"bias of shape \(6,\), got \(4,\)"),
    (lambda: F.conv_transpose2d(few, spread, groups=3), "divisible by groups=3"),
    (lambda: F.conv_transpose2d(few, spread, padding="same"), "padding must be a whole number or 2 of them, got 'same'"),
    (lambda: F.conv_transpose2d(few, spread, stride=2, output_padding=2), r"less than stride \(2, 2\) or dilation \(1, 1\), got \(2, 2\)"),
    (lambda: F.conv_transpose2d(few, spread, output_padding=-1), "output_padding must be at least 0"),
    (lambda: F.conv_transpose2d(few, spread, padding=3), r"too small: the output would have size \(-1, -1\)"),
    (lambda: F.conv_transpose2d(few, half(spread)), "one dtype"),
    (lambda: F.conv_transpose1d(few, spread), r"conv_transpose1d: expected an input \(N, C, L\)"),
    (lambda: F.conv_transpose3d(few[0], jnp.ones((3, 1, 1, 1, 1))), r"conv_transpose3d: expected an input \(N, C, D, H, W\)"),
    (lambda: F.unfold(jnp.ones((5, 5)), 2), r"unfold: expected an input \(N, C, H, W\).* got shape \(5, 5\)"),
    (lambda: F.unfold(image, 6), r"kernel \(6, 6\) .* larger than the padded image \(5, 5\)"),
    (lambda: F.unfold(image, (2,)), r"kernel_size must be a whole number or 2 of them, got \(2,\)"),
    (lambda: F.unfold(image, 0), "kernel_size must be positive"),
    (lambda: F.unfold(image, 2, stride=0), "stride must be positive"),
    (lambda: F.unfold(image, 2, padding=-1), "padding must not be negative"),
    (lambda: F.unfold(image.astype(int), 2), "floating-point"),
    (lambda: F.fold(jnp.ones((1, 1, 4, 4)), 3, 2), r"fold: expected an input \(N, C kH kW, L\).* got shape \(1, 1, 4, 4\)"),
    (lambda: F.fold(jnp.ones((1, 6, 4)), 3, 2), r"rows for 4 taps of kernel \(2, 2\), got an input of shape \(1, 6, 4\)"),
    (lambda: F.fold(jnp.ones((1, 4, 5)), 3, 2), r"2 x 2 = 4 windows, got 5"),
    (lambda: F.fold(jnp.ones((1, 9, 1)), 1, 3), "larger than the padded image"),
    (lambda: F.fold(jnp.ones((1, 4, 4), int), 3, 2), "floating-point"),
    (lambda: F.pad(few, (1, 1), "mirror"), "mode must be .* got 'mirror'"),
    (lambda: F.pad(few, 1), "pad must be a sequence of whole numbers, got 1"),
    (lambda: F.pad(few, (1.0, 1.0)), "whole numbers"),
    (lambda: F.pad(few, (1, 1), value="0"), "value must be a number, got '0'"),
    (lambda: F.pad(few, (1, 1, 1)), "two numbers for each axis, got 3"),
    (lambda: F.pad(few[0, 0, 0], (1, 1, 1, 1)), r"2 axes, got an input of shape \(3,\)"),
    (lambda: F.pad(few, (-2, -2)), r"takes more than there is of an axis of 3; got pad \(-2, -2\)"),
    (lambda: F.pad(few, (1, 1, 3, 0), "reflect"), "at most 2 to an axis of 3"),
    (lambda: F.pad(few, (1, 1, 0, 4), "circular"), "at most 3 to an axis of 3"),
    (lambda: F.pad(few, (-1, 3, 0, 0), "circular"), "at most 2 to an axis of 3"),
    (lambda: F.pad(few, (-1, -2, 0, 0), "replicate"), "takes more than there is"),
    (lambda: F.pad(few, (1, 1), "reflect"), r"got 1 for an input of shape \(1, 4, 3, 3\)"),
    (lambda: F.pad(few[:, :0], (1, 1, 1, 1), "replicate"), "not empty but in its batch"),
    (lambda: F.pad(few, (1, 1, 1, 1), "reflect", 1.0), "takes no value"),
    (lambda: F.pad(few > 0, (1, 1, 1, 1), "reflect"), "takes numbers, got bool"),
    (lambda: nn.Conv2d(4, 6, 3, groups=3), r"Conv2d: groups must be positive and divide 4 and 6 channels, got 3"),
    (lambda: nn.Conv2d(4, 6, 3, groups=-1), "groups must be positive"),
    (lambda: nn.Conv2d(4, 6, (3,)), r"Conv2d: kernel_size must be a number or 2 of them, got \(3,\)"),
    (lambda: nn.ConvTranspose1d(4, 6, -1), r"ConvTranspose1d: kernel_size must be positive, got \(-1,\)"),
    (lambda: nn.Conv2d(None, 6, 3), "Conv2d: in_channels and out_channels must be whole numbers, not negative, got None and 6"),
    (lambda: nn.Conv2d(4, -6, 3), "not negative, got 4 and -6"),
    (lambda: nn.LazyConv2d(6, 3, padding_mode="mirror"), "padding_mode must be"),
    (lambda: nn.LazyConv1d(6, 3, 2, "same"), "padding='same' needs stride 1"),
    (lambda: nn.LazyConvTranspose3d(6, 3, padding_mode="reflect"), "padding_mode must be 'zeros'"),
    (lambda: nn.Conv1d(4, 6, 3, padding_mode="mirror"), "Conv1d: padding_mode must be"),
    (lambda: nn.Conv1d(4, 6, 3, padding="full"), "Conv1d: padding must be"),
    (lambda: nn.Conv3d(4, 6, 3, stride=2, padding="same"), "Conv3d: padding='same' needs stride 1"),
    (lambda: nn.Conv3d(4, 6, (3, 3)), "Conv3d: kernel_size must be a number or 3 of them"),
    (lambda: nn.ConvTranspose2d(4, 6, 3, padding_mode="reflect"), "ConvTranspose2d: padding_mode must be 'zeros'"),
    (lambda: nn.ConvTranspose2d(4, 6, 3, padding="same"), "ConvTranspose2d: padding must be numbers"),
    (lambda: nn.ReflectionPad2d((1, 2)), "ReflectionPad2d: padding must be a whole number or 4 of them"),
    (lambda: nn.ZeroPad1d(1.5), "ZeroPad1d: padding must be"),
    (lambda: nn.CircularPad1d(1)(jnp.ones(3)), r"CircularPad1d: pad: .* shape \(3,\)"),
    (lambda: transposed(few, [9, 7]), r"ConvTranspose2d: output_size must be from \(7, 7\) to \(8, 8\) .* got \(9, 7\)"),
    (lambda: transposed(few, [1, 7, 7]), "must have 2 numbers, or one for each axis of the input"),
    (lambda: transposed(few, 7), "output_size must have 2 numbers"),
    (lambda: transposed(few, (7.0, 7)), r"output_size must have 2 numbers.* got \(7.0, 7\)"),
]


def transposed(x, output_size):
    params = {"weight": jnp.ones((4, 1, 3, 3)), "bias": jnp.ones(1)}
    return nn.ConvTranspose2d(4, 1, 3, stride=2).apply(params, x, output_size=output_size)


@pytest.mark.parametrize(("call", "words"), REFUSALS, ids=[words for _, words in REFUSALS])
def test_refused(call, words):
    with pytest.raises((ValueError, TypeError), match=words):
        call()
