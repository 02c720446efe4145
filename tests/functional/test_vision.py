"""What resizing, sampling and shuffles refuse, and that the message says what came; what low precision and bytes give."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax
import bpjax.functional as F
from bpjax import nn

line, image, volume = (jnp.ones((1, 4, *(4,) * n)) for n in (1, 2, 3))
theta = jnp.ones((2, 2, 3))

REFUSALS = [
    (lambda: F.pixel_shuffle(image, 1.0), "pixel_shuffle: upscale_factor must be a positive whole number, got 1.0"),
    (lambda: nn.PixelShuffle(None)(image), "PixelShuffle: pixel_shuffle: upscale_factor must be a positive whole number, got None"),
    (lambda: F.pixel_shuffle(image, 3), "3² must divide the channels of (1, 4, 4, 4)"),
    (lambda: F.pixel_shuffle(image[0, 0], 2), "expected an input (*, C, H, W), got (4, 4)"),
    (lambda: F.pixel_unshuffle(image, True), "downscale_factor must be a positive whole number, got True"),
    (lambda: F.pixel_unshuffle(image, 3), "3 must divide height and width"),
    (lambda: F.channel_shuffle(image, "2"), "groups must be a positive whole number, got '2'"),
    (lambda: F.channel_shuffle(image, 3), "groups=3 must divide the channels"),
    (lambda: F.channel_shuffle(image[0, 0], 2), "expected an input (N, C, *) of 3 axes or more, got (4, 4)"),
    (lambda: F.interpolate(image, 3.5), "interpolate: size must be a number or 2 of them, got (3.5, 3.5)"),
    (lambda: F.interpolate(image, (3.5, 3)), "size must be a number or 2 of them, got (3.5, 3)"),
    (lambda: F.interpolate(image, (3, 3, 3)), "size must be a number or 2 of them, got (3, 3, 3)"),
    (lambda: F.interpolate(image, scale_factor=(2, "2")), "scale_factor must be a number or 2 of them, got (2, '2')"),
    (lambda: F.interpolate(image, scale_factor=float("inf")), "scale_factor must be a number or 2 of them, got (inf, inf)"),
    (lambda: nn.Upsample(scale_factor="2")(image), "Upsample: interpolate: scale_factor must be a number"),
    (lambda: F.interpolate(image, scale_factor=0.1), "must leave an output, got (0.1, 0.1): its shape would be (1, 4, 0, 0)"),
    (lambda: F.interpolate(image), "expected either size or scale_factor, got None and None"),
    (lambda: F.interpolate(image, 3, 2.0), "expected either size or scale_factor, got 3 and 2.0"),
    (lambda: F.interpolate(image, 3, mode="cubic"), "got 'cubic'"),
    (lambda: F.interpolate(image, 3, mode="linear"), "mode 'linear' is for 1 axes of space, got an input of shape (1, 4, 4, 4)"),
    (lambda: F.interpolate(line, 3, mode="bicubic"), "mode 'bicubic' is for 2 axes of space, got an input of shape (1, 4, 4)"),
    (lambda: F.interpolate(image[0, 0], 3), "expected an input (N, C, *space) with 1 to 3 axes of space, got (4, 4)"),
    (lambda: F.interpolate(image[:, :0], 3), "expected an input that is empty at most in its batch, got (1, 0, 4, 4)"),
    (lambda: F.interpolate(image, 3, mode="area", align_corners=False), "align_corners is no option of mode 'area'"),
    (lambda: F.interpolate(image, 3, antialias=True), "antialias must be False in mode 'nearest'"),
    (lambda: F.interpolate(image, 3, mode="lanczos"), "mode 'lanczos' needs antialias=True"),
    (lambda: F.interpolate(image, 3, mode="lanczos", antialias=True, align_corners=True), "and align_corners not True"),
    (lambda: F.interpolate(volume, 3, mode="lanczos", antialias=True), "mode 'lanczos' is for 2 axes of space"),
    (lambda: F.interpolate(image, 3, recompute_scale_factor=True), "recompute_scale_factor is for scale_factor, not for size"),
    (lambda: F.interpolate(image.astype(int), 3), "expected a floating-point input, got int32"),
    (lambda: F.interpolate(image.astype(jnp.uint8), 3, mode="area"), "expected a floating-point input, got uint8"),
    (lambda: F.affine_grid(theta, 4), "affine_grid: size must be a sequence of whole numbers, got 4"),
    (lambda: F.affine_grid(theta, (2, 1, 3, 1.5)), "size must be a sequence of whole numbers, got (2, 1, 3, 1.5)"),
    (lambda: F.affine_grid(theta, ()), "expected size (N, C, H, W) or (N, C, D, H, W), got ()"),
    (lambda: F.affine_grid(theta, (2, 1, 3, 0)), "expected a size of positive numbers, got (2, 1, 3, 0)"),
    (lambda: F.affine_grid(theta, (3, 1, 3, 3)), "expected theta of shape (3, 2, 3) for size (3, 1, 3, 3), got (2, 2, 3)"),
    (lambda: F.affine_grid(theta.astype(int), (2, 1, 3, 3)), "expected a floating-point theta, got int32"),
    (lambda: F.grid_sample(image, jnp.ones((1, 2, 2, 3))), "expected a grid (1, H, W, 2) for an input of shape (1, 4, 4, 4)"),
    (lambda: F.grid_sample(volume, jnp.ones((1, 2, 2, 2, 3)), "bicubic"), "mode 'bicubic' is for inputs (N, C, H, W)"),
    (lambda: F.grid_sample(image, jnp.ones((1, 2, 2, 2)), padding_mode="wrap"), "padding_mode must be 'zeros', 'border' or 'reflection'"),
    (lambda: F.grid_sample(image, jnp.ones((1, 2, 2, 2), jnp.bfloat16)), "expected one dtype, got input float32, grid bfloat16"),
]


@pytest.mark.parametrize(("call", "words"), REFUSALS, ids=[words for _, words in REFUSALS])
def test_refused(call, words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        call()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
def test_a_grid_of_low_precision_is_read_in_float32(mode):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 4, 32, 32)), jnp.bfloat16)
    grid = jnp.asarray(0.6 * np.random.default_rng(1).standard_normal((1, 6, 6, 2)), jnp.bfloat16)

    def sampled(x, grid):
        y = F.grid_sample(x, grid, mode, "reflection", False)
        return jnp.sum(y.astype(jnp.float32) ** 2) / 2, y

    low, truth = (bpjax.value_and_grad(sampled, (0, 1), has_aux=True)(x.astype(d), grid.astype(d)) for d in (jnp.bfloat16, jnp.float32))
    for a, t in zip((low[0][1], *low[1]), (truth[0][1], *truth[1]), strict=True):
        assert a.dtype == jnp.bfloat16
        assert np.linalg.norm(np.asarray(a - t, np.float32)) <= 2**-7 * np.linalg.norm(t)


def test_bytes_are_picked_by_nearest():
    x = jnp.array([[[1, 255]]], jnp.uint8)
    y = F.interpolate(x, 4)
    assert y.dtype == jnp.uint8 and y.tolist() == [[[1, 1, 255, 255]]]


@pytest.mark.parametrize("padding_mode", ["border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("corners", [False, True])
def test_a_place_that_is_nan_reads_the_first_value(padding_mode, mode, corners):
    """As torch.nn.functional.grid_sample of images does: 1, 4 and 2 of 1 to 9; for an infinite place 4 with reflection, 6 with border."""
    image = jnp.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    places = jnp.array([[jnp.nan, jnp.nan], [jnp.nan, 0.0], [0.0, jnp.nan], [jnp.inf, 0.0], [-jnp.inf, 0.0]]).reshape(1, 1, 5, 2)
    f = lambda x, grid: F.grid_sample(x, grid, mode, padding_mode, corners)
    y, back = bpjax.vjp(f, image, places)
    assert y.reshape(-1).tolist() == [1.0, 4.0, 2.0, 6.0 if padding_mode == "border" else 4.0, 4.0]
    hand, auto = back(jnp.ones_like(y)), jax.vjp(f, image, places)[1](jnp.ones_like(y))
    for h, o in zip(hand, auto, strict=True):
        assert jnp.isfinite(h).all() and jnp.allclose(h, o)
    assert hand[0].sum() == 5 and not hand[1][..., 0, :].any()
