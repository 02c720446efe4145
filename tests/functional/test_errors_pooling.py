"""What the poolings refuse, as PyTorch does; the message names what came."""

import re

import jax
import jax.numpy as jnp
import pytest

import bpjax.functional as F
from bpjax import nn

IMAGE = {n: jnp.ones((2, 3, *(8,) * n)) for n in (1, 2, 3)}
FAMILY = {
    "max_pool{}d": lambda f, x: f(x, 2),
    "avg_pool{}d": lambda f, x: f(x, 2),
    "lp_pool{}d": lambda f, x: f(x, 2, 2),
    "max_unpool{}d": lambda f, x: f(x, jnp.zeros(x.shape, int), 2),
    "adaptive_avg_pool{}d": lambda f, x: f(x, 2),
    "adaptive_max_pool{}d": lambda f, x: f(x, 2),
    "fractional_max_pool{}d": lambda f, x: f(x, 2, 3, rng=jax.random.key(0)),
}
EVERY = [(name.format(n), n, call) for name, call in FAMILY.items() for n in (1, 2, 3) if hasattr(F, name.format(n))]
every = pytest.mark.parametrize(("name", "n", "call"), EVERY, ids=[name for name, _, _ in EVERY])
x1, x2, x3 = IMAGE[1], IMAGE[2], IMAGE[3]


@every
@pytest.mark.parametrize("cut", [lambda x: x[0, 0], lambda x: x[None], lambda x: x[:, :0], lambda x: x[..., :0]])
def test_another_rank_and_an_empty_image_are_refused(name, n, call, cut):
    x = cut(IMAGE[n])
    with pytest.raises(ValueError, match=f"{name}: expected an input of shape .*, got {re.escape(str(x.shape))}"):
        call(getattr(F, name), x)


@every
@pytest.mark.parametrize("dtype", [bool, int, complex])
def test_what_is_no_floating_point_is_refused(name, n, call, dtype):
    x = IMAGE[n].astype(dtype)
    if dtype is int and name in ("max_pool2d", "max_pool3d"):
        assert call(getattr(F, name), x).dtype == x.dtype
    else:
        with pytest.raises(TypeError, match=f"{name}: expected .*, got {x.dtype}"):
            call(getattr(F, name), x)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: F.max_pool1d(x1, 2, padding=2), "at most half the kernel (2,), got (2,)"),
        (lambda: F.max_pool2d(x2, 3, padding=(1, 2)), "at most half the kernel (3, 3), got (1, 2)"),
        (lambda: F.max_pool2d(x2, 3, padding=2, dilation=2), "at most half the kernel (3, 3), got (2, 2)"),
        (lambda: F.avg_pool3d(x3, 2, padding=-1), "padding must be at least 0"),
        (lambda: F.max_pool2d(x2, 0), "kernel_size must be positive, got (0, 0)"),
        (lambda: F.avg_pool1d(x1, 2, stride=0), "stride must be positive, got (0,)"),
        (lambda: F.max_pool3d(x3, 2, dilation=0), "dilation must be positive, got (0, 0, 0)"),
        (lambda: F.max_pool2d(x2, (2, 2, 2)), "kernel_size must be a whole number or 2 of them, got (2, 2, 2)"),
        (lambda: F.max_pool1d(x1, (2, 2)), "kernel_size must be a whole number or 1 of them, got (2, 2)"),
        (lambda: F.avg_pool2d(x2, 2.5), "kernel_size must be a whole number or 2 of them, got 2.5"),
        (lambda: F.max_pool2d(x2, None), "got None"),
        (lambda: F.max_pool2d(x2, ()), "got ()"),
        (lambda: F.max_pool2d(x2, 9), "(2, 3, 8, 8) is too small for a kernel (9, 9)"),
        (lambda: F.lp_pool1d(x1, 2, 9), "(2, 3, 8) is too small for a kernel (9,)"),
        (lambda: F.avg_pool3d(x3, 9, ceil_mode=True), "a kernel (9, 9, 9) is larger than the input of shape (2, 3, 8, 8, 8)"),
        (lambda: F.avg_pool2d(x2, 2, divisor_override=0), "a whole number other than 0, got 0"),
        (lambda: F.avg_pool3d(x3, 2, divisor_override=2.5), "a whole number other than 0, got 2.5"),
        (lambda: F.avg_pool2d(x2, 5, divisor_override=True), "a whole number other than 0, got True"),
        (lambda: F.avg_pool1d(x1, 2, count_include_pad=None), "count_include_pad must be True or False, got None"),
        (lambda: F.max_pool2d(x2, 2, ceil_mode="no"), "ceil_mode must be True or False, got 'no'"),
        (lambda: F.lp_pool2d(x2, 0, 2), "norm_type must not be 0"),
        (lambda: F.lp_pool2d(x2, 2, (2,)), "kernel_size must be a number or 2 of them, got (2,)"),
        (lambda: F.max_unpool2d(x2, jnp.zeros((1, 3, 8, 8), int), 2), "(2, 3, 8, 8), got (1, 3, 8, 8)"),
        (
            lambda: F.max_unpool1d(x1, jnp.zeros(x1.shape, int), 2, output_size=(18,)),
            "less than the stride (2,) away from (16,), got (18,)",
        ),
        (lambda: F.max_unpool1d(x1, jnp.zeros(x1.shape, int), 2, output_size=16), "a sequence of 1 or 3 whole numbers, got 16"),
        (lambda: F.max_unpool2d(x2, jnp.zeros(x2.shape, int), 2, output_size=(16,)), "a sequence of 2 or 4 whole numbers, got (16,)"),
        (lambda: F.max_unpool3d(x3, jnp.zeros(x3.shape, int), 2, stride=0), "must be positive, got (2, 2, 2) and (0, 0, 0)"),
        (lambda: F.max_unpool2d(x2, jnp.zeros(x2.shape, int), 2, padding=9), "leaves an output of size (-2, -2)"),
        (lambda: F.adaptive_avg_pool1d(x1, None), "got None"),
        (lambda: F.adaptive_max_pool1d(x1, (None,)), "got (None,)"),
        (lambda: F.adaptive_avg_pool2d(x2, None), "got None"),
        (lambda: F.adaptive_max_pool2d(x2, (2,)), "output_size must be a number or 2 of them, got (2,)"),
        (lambda: F.adaptive_avg_pool3d(x3, (2, 2)), "output_size must be a number or 3 of them, got (2, 2)"),
        (lambda: F.adaptive_max_pool3d(x3, -1), "output_size must be positive, got (-1, -1, -1)"),
        (lambda: F.fractional_max_pool2d(x2, 2, rng=jax.random.key(0)), "an output_size or an output_ratio"),
        (lambda: F.fractional_max_pool2d(x2, 2, 3), "needs rng=, a key such as jax.random.key(0)"),
        (lambda: F.fractional_max_pool2d(x2, 2, 8, rng=jax.random.key(0)), "windows (2, 2) for an output (8, 8) do not fit"),
        (lambda: F.fractional_max_pool3d(x3, 2, 7, rng=jax.random.key(0)), "windows (2, 2, 2) for an output (7, 7, 7) do not fit"),
        (lambda: F.fractional_max_pool2d(x2, 2, output_ratio=1.0), "output_ratio must be a number between 0 and 1 or 2 of them, got 1.0"),
        (lambda: F.fractional_max_pool3d(x3, 2, output_ratio=(0.5, 0.5)), "or 3 of them, got (0.5, 0.5)"),
        (lambda: F.fractional_max_pool2d(x2, 2, output_ratio=0.1), "the output must not be empty, got the size (0, 0)"),
        (lambda: F.fractional_max_pool2d(x2, (2,), 3), "kernel_size must be a number or 2 of them, got (2,)"),
        (lambda: F.fractional_max_pool2d(x2, 0, 3), "kernel_size must be positive, got (0, 0)"),
        (lambda: F.fractional_max_pool2d(x2, 2, 3, _random_samples=jnp.ones((1, 3, 2))), "of shape (2, 3, 2), got (1, 3, 2)"),
        (lambda: F.fractional_max_pool3d(x3, 2, 3, _random_samples=jnp.ones((2, 3, 2))), "of shape (2, 3, 3), got (2, 3, 2)"),
        (lambda: nn.FractionalMaxPool2d(2), "FractionalMaxPool2d: expected either an output_size or an output_ratio, got None and None"),
        (
            lambda: nn.FractionalMaxPool3d(2, 3, 0.5),
            "FractionalMaxPool3d: expected either an output_size or an output_ratio, got 3 and 0.5",
        ),
        (
            lambda: nn.FractionalMaxPool2d(2, output_ratio=(0.5, 1)),
            "FractionalMaxPool2d: output_ratio must lie between 0 and 1, got (0.5, 1)",
        ),
        (lambda: nn.FractionalMaxPool3d(0, 3), "FractionalMaxPool3d: kernel_size must be positive, got 0"),
        (lambda: nn.FractionalMaxPool2d("2", 3), "FractionalMaxPool2d: kernel_size must be positive, got '2'"),
        (lambda: nn.FractionalMaxPool2d(2, output_ratio="half"), "output_ratio must lie between 0 and 1, got 'half'"),
        (lambda: nn.FractionalMaxPool2d(2, 3)(x2), "FractionalMaxPool2d: .* needs a key"),
        (lambda: nn.MaxPool2d(2)(x1[0]), "MaxPool2d: max_pool2d: expected an input of shape (N, C, H, W) or (C, H, W)"),
    ],
)
def test_what_pytorch_refuses(call, words):
    words = words if ".*" in words else re.escape(words)
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: F.lp_pool2d(x2, None, 2), "norm_type must be a number, got None"),
        (lambda: F.max_unpool2d(x2, x2, 2), "expected indices that are integers, got float32"),
        (
            lambda: F.fractional_max_pool2d(x2, 2, 3, _random_samples=jnp.ones((2, 3, 2), jnp.bfloat16)),
            "expected one dtype, got input float32, _random_samples bfloat16",
        ),
    ],
)
def test_another_type_is_refused(call, words):
    with pytest.raises(TypeError, match=words):
        call()
