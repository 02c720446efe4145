"""16-bit inputs at sizes where rounding adds up: the gradient by hand is at most twice as far from float64 as JAX's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from op_cases import CASES
from op_cases.table import is_loss, normal, positive, unit
from verdict import norm, on_device

import bpjax
import bpjax.functional as F
from bpjax.engine import Op

key = jax.random.key(0)
wide, tall = normal(4, 2000), normal(2000, 4)
classes = np.arange(2000) % 4
signs = np.where(normal(2000, seed=9) > 0, 1, -1)
MANY = {}


def many(name, args, *, id="", f=None, **options):
    function = getattr(F, name)
    MANY[f"{name}: {id}" if id else name] = f or (lambda *a: function(*a, **options)), tuple(args)


# of each value: those that read their output see where it is near its limits
for name in ["sigmoid", "tanh", "softplus", "tanhshrink", "softsign", "relu", "relu6", "hardtanh", "hardsigmoid", "hardshrink",
             "softshrink", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "logsigmoid", "mish", "hardswish",
             "glu", "identity", "flatten"]:  # fmt: skip
    many(name, [3 * wide])
many("gelu", [3 * wide], id="tanh", approximate="tanh")
for name in ["elu", "celu"]:
    many(name, [3 * wide], id="alpha 3", alpha=3.0)
many("softplus", [3 * wide], id="beta 3", beta=3.0)
many("threshold", [wide], threshold=0.1, value=2.0)
many("prelu", [tall, normal(1)])
many("prelu", [tall, normal(4)], id="channels")
many("rrelu", [wide])
many("rrelu", [wide], id="training", f=lambda x: F.rrelu(x, training=True, rng=key))
for name in ["dropout", "alpha_dropout"]:
    many(name, [wide], f=lambda x, name=name: getattr(F, name)(x, 0.3, True, rng=key))
many("dropout1d", [normal(2, 40, 50)], f=lambda x: F.dropout1d(x, rng=key))
many("dropout2d", [normal(2, 40, 5, 9)], f=lambda x: F.dropout2d(x, rng=key))
many("dropout3d", [normal(2, 40, 5, 3, 3)], f=lambda x: F.dropout3d(x, rng=key))
many("feature_alpha_dropout", [normal(2, 40, 9)], f=lambda x: F.feature_alpha_dropout(x, 0.3, True, rng=key))

for name in ["softmax", "log_softmax"]:
    many(name, [0.1 * wide], id="small", dim=1)
    many(name, [3 * wide], id="spread", dim=1)
    many(name, [8 + 0.1 * normal(5000, 2)], id="down", dim=0)

# sums
many("linear", [normal(700, 900), 0.03 * normal(5, 900), normal(5)])
many("bilinear", [normal(900, 30), normal(900, 40), 0.03 * normal(3, 30, 40), normal(3)])
many("unflatten", [wide], dim=1, sizes=(50, -1))
many("geglu", [3 * wide, normal(4, 2000, seed=1)])
many("swiglu", [3 * wide, normal(4, 2000, seed=1)])
many("layer_norm", [5 + wide, normal(2000), normal(2000, seed=1)], f=lambda x, w, b: F.layer_norm(x, 2000, w, b))
many("layer_norm", [5 + tall, normal(4), normal(4, seed=1)], id="rows", f=lambda x, w, b: F.layer_norm(x, 4, w, b))
many("rms_norm", [5 + wide, normal(2000)], f=lambda x, w: F.rms_norm(x, 2000, w))
many("rms_norm", [5 + tall, normal(4)], id="rows", f=lambda x, w: F.rms_norm(x, 4, w))
many("group_norm", [2 + normal(3, 4, 800), normal(4), normal(4, seed=1)], f=lambda x, w, b: F.group_norm(x, 2, w, b))
many("batch_norm", [2 + normal(50, 4, 60), normal(4), normal(4, seed=1)], f=lambda x, w, b: F.batch_norm(x, None, None, w, b, True))
many("batch_norm", [2 + normal(50, 4, 60), normal(4), positive(4), normal(4), normal(4, seed=1)], id="evaluation")
many("instance_norm", [2 + normal(5, 4, 600), normal(4), normal(4, seed=1)], f=lambda x, w, b: F.instance_norm(x, None, None, w, b))
many("local_response_norm", [normal(2, 900, 3)], size=700, alpha=2.0)
for p in [2.0, 1, 3]:
    many("normalize", [wide], id=f"p {p}", p=p)
    many("pairwise_distance", [wide, normal(4, 2000, seed=1)], id=f"p {p}", p=p)
    many("pdist", [normal(40, 300)], id=f"p {p}", p=p)
many("pdist", [normal(300, 3)], id="rows")
many("pairwise_distance", [normal(900, 1, 9), normal(3, 9)], id="broadcast")
many("cosine_similarity", [wide, normal(4, 2000, seed=1)])
many("cosine_similarity", [normal(900, 1, 9), normal(3, 9)], id="broadcast", dim=-1)
many("weight_norm", [wide, positive(4, 1)])
many("weight_norm", [wide, positive(1, 2000)], id="columns", dim=1)
many("spectral_norm", [1 + 0.1 * wide, 0.1 * positive(4), 0.1 * positive(2000)])
many("embedding", [normal(3, 50)], f=lambda W: F.embedding(np.arange(3000) % 3, W))
many("embedding", [normal(3, 50)], id="by frequency", f=lambda W: F.embedding(np.arange(3000) % 3, W, scale_grad_by_freq=True))
for mode in ["sum", "mean", "max"]:
    many("embedding_bag", [normal(3, 50)], id=mode, f=lambda W, m=mode: F.embedding_bag(np.arange(3000).reshape(50, 60) % 3, W, mode=m))
many("embedding_bag", [normal(3, 900), normal(50, 60)], id="weighted",
     f=lambda W, p: F.embedding_bag(np.arange(3000).reshape(50, 60) % 3, W, mode="sum", per_sample_weights=p))  # fmt: skip

image = normal(2, 8, 30, 30)
many("conv1d", [normal(2, 40, 300), 0.1 * normal(3, 40, 25), normal(3)])
many("conv2d", [image, 0.1 * normal(8, 8, 5, 5), normal(8)])
many("conv2d", [image, 0.1 * normal(8, 1, 5, 5), normal(8)], id="depthwise", groups=8)
many("conv2d", [image, 0.1 * normal(8, 8, 1, 1), normal(8)], id="1x1")
many("conv2d", [image, 0.1 * normal(8, 2, 5, 5), normal(8)], id="groups, stride", groups=4, stride=2)
many("conv3d", [normal(1, 8, 9, 9, 9), 0.1 * normal(4, 8, 3, 3, 3), normal(4)])
many("conv_transpose1d", [normal(2, 40, 300), 0.1 * normal(40, 3, 25), normal(3)])
many("conv_transpose2d", [image, 0.1 * normal(8, 8, 5, 5), normal(8)], stride=2)
many("conv_transpose2d", [image, 0.1 * normal(8, 1, 3, 3), normal(8)], id="depthwise", groups=8)
many("conv_transpose3d", [normal(1, 8, 7, 7, 7), 0.1 * normal(8, 4, 3, 3, 3), normal(4)])
many("fold", [normal(1, 144, 400)], output_size=(31, 31), kernel_size=12)
many("unfold", [normal(1, 1, 40, 40)], kernel_size=12)
for d in (1, 2, 3):
    x = normal(1, 3, *{1: [2000], 2: [50, 50], 3: [14, 14, 14]}[d])
    k, s = {1: (500, 3), 2: (25, 3), 3: (8, 2)}[d]
    many(f"avg_pool{d}d", [x], kernel_size=k, stride=s)
    many(f"max_pool{d}d", [x], kernel_size=k, stride=s)
    many(f"lp_pool{d}d", [x], norm_type=2, kernel_size=k, stride=s)
    many(f"lp_pool{d}d", [x], id="p 8", norm_type=8, kernel_size=3)
    many(f"adaptive_avg_pool{d}d", [x], output_size=3)
    many(f"adaptive_max_pool{d}d", [x], output_size=3)
    if d > 1:
        fractional = {"kernel_size": 3, "output_size": (6,) * d}
        many(f"fractional_max_pool{d}d", [x], f=lambda x, d=d, o=fractional: getattr(F, f"fractional_max_pool{d}d")(x, rng=key, **o))
    many(f"max_unpool{d}d", [x], f=lambda x, d=d: getattr(F, f"max_unpool{d}d")(*getattr(F, f"max_pool{d}d_with_indices")(x, 2), 2))
for mode in ["replicate", "reflect", "constant", "circular"]:
    many("pad", [normal(1, 2, 300)], id=mode, pad=(290, 290), mode=mode)
many("interpolate", [normal(1, 2, 5, 5)], id="bilinear up", size=(150, 150), mode="bilinear")
many("interpolate", [normal(1, 2, 90, 90)], id="bilinear down", size=(3, 3), mode="bilinear", antialias=True)
many("interpolate", [normal(1, 2, 5, 5)], id="nearest", size=(150, 150))
many("interpolate", [normal(1, 2, 5, 5)], id="bicubic", size=(150, 150), mode="bicubic")
many("grid_sample", [normal(1, 3, 5, 5), 0.4 * normal(1, 60, 60, 2)])
many("grid_sample", [normal(1, 900, 5, 5), 0.4 * normal(1, 9, 9, 2)], id="many channels")
many("affine_grid", [normal(2, 2, 3)], size=(2, 1, 60, 50))
many("pixel_shuffle", [normal(36, 9, 9)], upscale_factor=3)
many("pixel_unshuffle", [normal(1, 36, 36)], downscale_factor=3)
many("channel_shuffle", [normal(2, 40, 9)], groups=4)
many("rotary_embedding", [normal(700, 64)])
many("reversible", [normal(50, 40), normal(50, 40, seed=1), 0.1 * normal(6, 40, 40), 0.1 * normal(6, 40, 40, seed=1)],
     f=lambda a, b, p, q: sum(F.reversible(a, b, p, q, lambda p, x: F.tanh(F.linear(x, p)), lambda q, x: F.linear(x, q))))  # fmt: skip

many("scaled_dot_product_attention", [normal(3, 600, 8), normal(3, 700, 8), normal(3, 700, 8, seed=1)])
many("scaled_dot_product_attention", [0.1 * normal(3, 600, 8), normal(3, 600, 8), normal(3, 600, 8, seed=1)], id="causal", is_causal=True)
many("scaled_dot_product_attention", [normal(60, 8), normal(900, 8), normal(900, 8, seed=1), normal(60, 900)], id="mask")
many("multi_head_attention_forward", [normal(700, 2, 8), 0.3 * normal(24, 8), normal(24), 0.3 * normal(8, 8), normal(8)],
     f=lambda x, W, b, V, c: F.multi_head_attention_forward(
         x, x, x, 8, 2, W, b, None, None, False, 0.0, V, c, need_weights=False)[0])  # fmt: skip

cells = {"rnn_tanh": 1, "rnn_relu": 1, "gru": 3, "lstm": 4}
for name, gates in cells.items():
    weights = [0.1 * normal(gates * 20, 30), 0.1 * normal(gates * 20, 20), normal(gates * 20), normal(gates * 20, seed=1)]
    function, cell = getattr(F, name), getattr(F, name + "_cell")
    state = lambda h, name=name: (h, h) if name == "lstm" else h
    many(name, [normal(60, 9, 30), normal(9, 20), *weights], f=lambda x, h, *w, g=function, s=state: g(x, s(h), *w)[0])
    many(name + "_cell", [normal(900, 30), normal(900, 20), *weights],
         f=lambda x, h, *w, g=cell, s=state, name=name: g(x, s(h), *w)[0] if name == "lstm" else g(x, s(h), *w))  # fmt: skip

# losses
labels = np.where(np.arange(500) < 90, np.stack([np.random.default_rng(i).permutation(500) for i in range(4)]), -1)
a, b = normal(2000), normal(2000, seed=1)
for how in ["mean", "none"]:
    for name in ["mse_loss", "l1_loss", "huber_loss"]:
        many(name, [a, b], id=how, reduction=how)
        many(
            name,
            [a, b, positive(2000)],
            id=f"{how} weight",
            f=lambda x, t, w, n=name, how=how: getattr(F, n)(x, t, reduction=how, weight=w),
        )
    many("smooth_l1_loss", [a, b], id=how, reduction=how, beta=0.3)
    many("poisson_nll_loss", [a, positive(2000)], id=how, reduction=how)
    many("poisson_nll_loss", [positive(2000), positive(2000, seed=1)], id=f"{how} rates", reduction=how, log_input=False, full=True)
    many("gaussian_nll_loss", [tall, normal(2000, 4, seed=1), positive(2000)], id=how, reduction=how)
    many("kl_div", [a, unit(2000)], id=how, reduction=how)
    many("kl_div", [a, b], id=f"{how} log_target", reduction=how, log_target=True)
    many("binary_cross_entropy", [unit(2000), unit(2000, seed=1)], id=how, reduction=how)
    many("binary_cross_entropy_with_logits", [3 * a, unit(2000)], id=how, reduction=how)
    many("binary_cross_entropy_with_logits", [3 * tall, unit(2000, 4), positive(4), positive(4, seed=1)], id=f"{how} weight",
         f=lambda z, t, w, p, how=how: F.binary_cross_entropy_with_logits(z, t, w, reduction=how, pos_weight=p))  # fmt: skip
    many("binary_cross_entropy", [unit(2000, 4), unit(2000, 4, seed=1), positive(4)], id=f"{how} weight", reduction=how)
    many("multilabel_soft_margin_loss", [wide, unit(4, 2000)], id=how, reduction=how)
    many("soft_margin_loss", [3 * a, b], id=how, reduction=how)
    many("margin_ranking_loss", [a, b, normal(2000, seed=2)], id=how, reduction=how)
    many("hinge_embedding_loss", [a], id=how, f=lambda x, how=how: F.hinge_embedding_loss(x, signs, reduction=how))
    many("multi_margin_loss", [wide], id=how, f=lambda x, how=how: F.multi_margin_loss(x, np.arange(4), 2, reduction=how))
    many("multi_margin_loss", [tall, positive(4)], id=f"{how} weight",
         f=lambda x, w, how=how: F.multi_margin_loss(x, classes, 2, weight=w, reduction=how))  # fmt: skip
    many("multilabel_margin_loss", [wide[:, :500]], id=how, f=lambda x, how=how: F.multilabel_margin_loss(x, labels, reduction=how))
    many(
        "cosine_embedding_loss",
        [tall, normal(2000, 4, seed=1)],
        id=how,
        f=lambda x, y, how=how: F.cosine_embedding_loss(x, y, signs, reduction=how),
    )
    many("triplet_margin_loss", [wide, normal(4, 2000, seed=1), normal(4, 2000, seed=2)], id=how, margin=30.0, reduction=how)
    many("triplet_margin_with_distance_loss", [tall, normal(2000, 4, seed=1), normal(2000, 4, seed=2)], id=how, margin=3.0, reduction=how)
    many("cross_entropy", [0.1 * wide], id=how, f=lambda z, how=how: F.cross_entropy(z, np.arange(4), reduction=how))
    many("cross_entropy", [tall, positive(4)], id=f"{how} weight",
         f=lambda z, w, how=how: F.cross_entropy(z, classes, w, reduction=how, label_smoothing=0.1))  # fmt: skip
    many("cross_entropy", [tall, unit(2000, 4), positive(4)], id=f"{how} probabilities", reduction=how)
    many("nll_loss", [tall, positive(4)], id=how, f=lambda z, w, how=how: F.nll_loss(z, classes, w, reduction=how))
    many("linear_cross_entropy", [normal(2000, 9), normal(4, 9), normal(4), positive(4)], id=how,
         f=lambda x, W, b, w, how=how: F.linear_cross_entropy(x, W, classes, linear_bias=b, weight=w, reduction=how))  # fmt: skip
    many("linear_cross_entropy", [normal(20, 9), 0.1 * normal(3000, 9)], id=f"{how} classes",
         f=lambda x, W, how=how: F.linear_cross_entropy(x, W, np.arange(20), reduction=how))  # fmt: skip
    many("ctc_loss", [np.log(unit(60, 2, 30) / unit(60, 2, 30).sum(-1, keepdims=True))], id=how,
         f=lambda lp, how=how: F.ctc_loss(lp, np.arange(40).reshape(2, 20) % 29 + 1, (60, 50), (20, 9), reduction=how))  # fmt: skip


def test_every_op_is_here():
    here = {id.partition(":")[0] for id in MANY}
    assert {c.op for c in CASES if isinstance(getattr(F, c.op), Op)} <= here


COTANGENTS = {
    "random": lambda u: u,
    "nearly one number": lambda u: 1 + 0.01 * u,  # what a sum hands back: terms cancel in a softmax and a norm
    "scaled": lambda u: 512 * u,  # as a loss that is scaled for float16
}


@pytest.mark.slow
@pytest.mark.parametrize("id", MANY)
def test_rounding_as_that_of_jax(id):
    f, args = MANY[id]

    def gradients(vjp):
        """In two programs, so that what is kept has its 16 bits: within one, XLA:CPU leaves out roundings that eager code has."""
        forward, backward = jax.jit(lambda *args: vjp(f, *args)[1]), jax.jit(lambda pull, dy: pull(dy))
        return lambda dy, *args: backward(forward(*args), dy)

    hand, auto, exact = gradients(bpjax.vjp), gradients(jax.vjp), gradients(jax.vjp)
    wrong = {}
    for dtype in (jnp.bfloat16, jnp.float16):
        low = on_device(args, dtype)
        y = jax.eval_shape(f, *low)
        for name, cotangent in COTANGENTS.items():
            dy = jax.device_put(cotangent(np.random.default_rng(3).standard_normal(y.shape)).astype(y.dtype))
            results = hand(dy, *low), auto(dy, *low)
            with jax.enable_x64(True):
                truth = exact(*on_device((dy, *low), np.float64))
            for i, three in enumerate(zip(*results, truth, strict=True)):
                h, o, t = (np.asarray(v, np.float64) for v in three)
                if np.isfinite(o).all() and not norm(h - t) <= 2 * norm(o - t) + 1e-2 * float(jnp.finfo(dtype).eps) * norm(t):
                    wrong[dtype.__name__, name, i] = f"off by {norm(h - t):.3g}, where JAX is by {norm(o - t):.3g}, of {norm(t):.3g}"
    assert not wrong, wrong


LOSSES = [id for id in MANY if is_loss(id.partition(":")[0])]


@pytest.mark.parametrize("id", LOSSES)
def test_a_loss_of_16_bits_has_float32(id):
    f, args = MANY[id]
    for dtype in (jnp.bfloat16, jnp.float16):
        low = on_device(args, dtype)
        y, back = bpjax.vjp(f, *low)
        assert y.dtype == jnp.float32 and all(d.dtype == dtype for d in back(y))
        if not id.startswith("linear_cross_entropy"):  # whose logits have 16 bits outside differentiation
            assert f(*low).dtype == jnp.float32
            np.testing.assert_allclose(f(*low), y, rtol=1e-5, atol=1e-5)
        with jax.enable_x64(True):
            np.testing.assert_allclose(y, f(*on_device(low, np.float64)), rtol=1e-4, atol=1e-5)
