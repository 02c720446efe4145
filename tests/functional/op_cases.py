"""One table of cases of the ops: every check of a layer runs over this list. To add a layer, add its cases."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import bpjax.functional as F


class Case(NamedTuple):
    op: str
    id: str
    f: Callable  # of the arrays alone
    args: tuple  # float64 arrays (and the integers, closed over by f)
    first: bool = False  # the op's representative: it also goes through vmap, scan, second order, low precision
    smooth: bool = True  # no kink at these points


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def positive(*shape, seed=0):
    return np.exp(normal(*shape, seed=seed))


def unit(*shape, seed=0):
    return 1 / (1 + np.exp(-normal(*shape, seed=seed)))


def apart(*shape, seed=0):
    """Values without ties."""
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape) / 7.0 + 0.01


CASES: list[Case] = []
_seen: set = set()


def case(op, id, args, *, smooth=True, f=None, **options):
    function = getattr(F, op)
    call = f or (lambda *a: function(*a, **options))
    CASES.append(Case(op, f"{op}: {id}", call, tuple(args), op not in _seen, smooth))
    _seen.add(op)


x = normal(6, 6)  # square, so that a transposed cotangent is a possible mistake
edge = np.array([-1e3, -40.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 2.0, 30.0, 1e3])
kinks = np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0])

# linear
case("linear", "matrix", [normal(9, 9), normal(9, 9, seed=1), normal(9)])
case("linear", "tiny", [x, normal(3, 6), normal(3)])
case("linear", "tiny, without bias", [x, normal(3, 6)])
case("linear", "one tiny vector", [normal(6), normal(3, 6), normal(3)])
case("linear", "one vector", [normal(30), normal(20, 30), normal(20)])
case("linear", "many leading axes, without bias", [normal(2, 3, 4, 6), normal(5, 6)])
case("bilinear", "matrix", [normal(4, 3), normal(4, 3, seed=1), normal(5, 3, 3), normal(5)])
case("bilinear", "without bias, leading axes", [normal(2, 4, 2), normal(2, 4, 3), normal(5, 2, 3)])
case("flatten", "all", [x])
case("flatten", "from 1", [normal(2, 3, 4, 2)], start_dim=1, end_dim=2)
case("flatten", "scalar", [normal()])
case("identity", "any", [x])

# embedding
index = np.array([[0, 3, 3], [1, 4, 0]])
case("embedding", "repeated indices", [normal(5, 5)], f=lambda W: F.embedding(index, W))
case("embedding", "padding", [normal(5, 3)], f=lambda W: F.embedding(index, W, 3))
case("embedding", "negative padding", [normal(5, 3)], f=lambda W: F.embedding(index, W, -2))

# dropout
key = jax.random.key(1)
for shape in [(8, 8), (3, 5)]:
    case("dropout", f"training {shape}", [normal(*shape)], f=lambda x: F.dropout(x, 0.3, rng=key))
case("dropout", "evaluation", [x], training=False)
case("dropout", "everything", [x], f=lambda x: F.dropout(x, 1.0, rng=key))
case("dropout", "nothing", [x], f=lambda x: F.dropout(x, 0.0, rng=key))

# activations
for name in ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"]:
    case(name, "normal", [x])
    case(name, "a width that 8 divides", [normal(3, 8)])
    case(name, "extremes", [edge], smooth=False)
    case(name, "kinks", [kinks], smooth=False)
    case(name, "scalar", [normal()])
case("leaky_relu", "slope", [x], negative_slope=0.3)
case("leaky_relu", "negative slope", [x], negative_slope=-0.3)
case("elu", "alpha", [x], alpha=0.4)
case("elu", "alpha 0", [x], alpha=0.0)
case("gelu", "tanh", [x], approximate="tanh")
case("gelu", "tanh, extremes", [edge], approximate="tanh")
case("softplus", "beta and threshold", [3 * x], beta=2.0, threshold=1.0)
for name in ["softmax", "log_softmax"]:
    case(name, "last axis", [x], dim=-1)
    case(name, "first axis", [normal(3, 4, 2)], dim=0)
    case(name, "large and tied", [np.array([[1e3, 1e3, 0.0], [-1e3, 5.0, 5.0]])], dim=1)
    case(name, "to a dtype", [x], dim=1, dtype=jnp.float64)

# normalization
case("layer_norm", "affine", [x, normal(6), normal(6, seed=1)], f=lambda x, w, b: F.layer_norm(x, (6,), w, b))
case("layer_norm", "plain", [x], normalized_shape=6)
case("layer_norm", "two axes, weight alone", [normal(2, 3, 4), normal(3, 4)], f=lambda x, w: F.layer_norm(x, (3, 4), w, None, 1e-3))
case("layer_norm", "variance 0", [np.ones((2, 3)), normal(3)], f=lambda x, w: F.layer_norm(x, (3,), w))
case("rms_norm", "weight", [x, normal(6)], f=lambda x, w: F.rms_norm(x, (6,), w, 1e-6))
case("rms_norm", "two axes, eps of the type", [normal(2, 3, 4)], normalized_shape=[3, 4])
stats = [normal(6, seed=2), positive(6)]
case("batch_norm", "training", [x, *stats, normal(6), normal(6, seed=1)], training=True)
case("batch_norm", "training, plain", [x], f=lambda x: F.batch_norm(x, None, None, training=True))
case("batch_norm", "training, with a length", [normal(4, 3, 5), normal(3)], f=lambda x, w: F.batch_norm(x, None, None, w, training=True))
case("batch_norm", "evaluation", [x, *stats, normal(6), normal(6, seed=1)])
case("batch_norm", "evaluation, plain", [normal(2, 6, 3), *stats])

# losses
a, b = normal(4, 4), normal(4, 4, seed=1)
for how in ["mean", "sum", "none"]:
    case("mse_loss", how, [a, b], reduction=how)
    case("l1_loss", how, [a, b], reduction=how)
    case("huber_loss", how, [a, b], reduction=how, delta=0.7)
case("mse_loss", "size_average", [a, b], size_average=False)
case("l1_loss", "equal", [a, np.where(a > 0, a, b)], smooth=False)
case("huber_loss", "edges", [kinks, np.zeros(6)], smooth=False)
z, z3 = normal(5, 5), normal(2, 5, 3)
classes, classes3, w5 = np.array([0, 4, 1, -100, 2]), np.array([[1, 0, 4], [-100, 2, 2]]), positive(5)
for how, eps in [("mean", 0.0), ("mean", 0.2), ("sum", 0.2), ("none", 0.0)]:
    options = {"reduction": how, "label_smoothing": eps}
    case("cross_entropy", f"{how} smoothing {eps}", [z], f=lambda z, o=options: F.cross_entropy(z, classes, **o))
    case("cross_entropy", f"{how} smoothing {eps} weight", [z, w5], f=lambda z, w, o=options: F.cross_entropy(z, classes, w, **o))
    case("cross_entropy", f"{how} smoothing {eps} probabilities weight", [z, unit(5, 5), w5], **options)
    case("cross_entropy", f"{how} smoothing {eps} in 2 dims, weight", [z3, w5],
         f=lambda z, w, o=options: F.cross_entropy(z, classes3, w, **o))
case("cross_entropy", "probabilities", [z, unit(5, 5)], label_smoothing=0.2)
for how in ["mean", "sum", "none"]:
    case("nll_loss", how, [z], f=lambda z, how=how: F.nll_loss(z, classes, reduction=how))
    case("nll_loss", f"{how} weight", [z, w5], f=lambda z, w, how=how: F.nll_loss(z, classes, w, reduction=how))
    case("nll_loss", f"{how} in 2 dims", [z3, w5],
         f=lambda z, w, how=how: F.nll_loss(z, np.where(classes3 < 0, 2, classes3), w, ignore_index=2, reduction=how))
case("cross_entropy", "probabilities in 3 dims", [z3, unit(2, 5, 3)])
case("cross_entropy", "one row", [normal(5)], f=lambda z: F.cross_entropy(z, np.array(3)))
case("cross_entropy", "ignore_index 2", [z], f=lambda z: F.cross_entropy(z, classes % 5, ignore_index=2))
case("cross_entropy", "large logits", [1e4 * z], f=lambda z: F.cross_entropy(z, classes))
for how in ["mean", "sum", "none"]:
    p, t = unit(4, 4), unit(4, 4, seed=1)
    case("binary_cross_entropy", how, [p, t], reduction=how)
    case("binary_cross_entropy", f"{how} weight", [p, t, positive(4)], reduction=how)
    case("binary_cross_entropy_with_logits", how, [a, t], reduction=how)
    case("binary_cross_entropy_with_logits", f"{how} weight", [a, t, positive(4, 1)], reduction=how)
    case("binary_cross_entropy_with_logits", f"{how} pos_weight", [a, t, positive(4, 1), positive(4)],
         f=lambda z, t, w, p, how=how: F.binary_cross_entropy_with_logits(z, t, w, reduction=how, pos_weight=p))
case("binary_cross_entropy", "edges", [np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])], smooth=False)
case("binary_cross_entropy_with_logits", "extremes", [edge, unit(10)], smooth=False)

# convolution and pooling
image = normal(2, 4, 7, 6)
case("conv2d", "plain", [image, normal(3, 4, 3, 3), normal(3)])
case("conv2d", "without bias, one image", [image[0], normal(3, 4, 3, 2)])
for stride, padding, dilation, groups in [  # every pair of options meets
    (1, 0, 1, 1), (1, (1, 2), (2, 1), 2), (1, "same", 1, 4), (1, "same", (2, 1), 1), (2, (1, 2), 1, 1), (2, "valid", (2, 1), 4),
    (2, 0, 1, 2), ((3, 2), 0, (2, 1), 4), ((3, 2), (1, 2), 1, 4), ((3, 2), "valid", 1, 2), (1, "same", 1, 2),
]:  # fmt: skip
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    case("conv2d", " ".join(map(str, options.values())), [image, normal(4, 4 // groups, 3, 2), normal(4)], **options)
case("conv2d", "1x1", [image, normal(3, 4, 1, 1)])
case("conv2d", "padding beyond the kernel", [image, normal(3, 4, 2, 2)], padding=3, stride=3)
case("max_pool2d", "2", [apart(2, 3, 6, 6)], kernel_size=2)
case("max_pool2d", "a rest that no window covers", [apart(2, 7, 8)], kernel_size=(2, 3))
case("max_pool2d", "overlapping", [apart(2, 3, 7, 6)], kernel_size=3, stride=2, padding=1)
case("max_pool2d", "dilated", [apart(3, 9, 8)], kernel_size=(3, 2), stride=1, dilation=2)
case("max_pool2d", "ceil", [apart(1, 2, 7, 8)], kernel_size=3, stride=(2, 3), ceil_mode=True)
case("max_pool2d", "ceil, padding", [apart(1, 2, 6, 5)], kernel_size=2, stride=2, padding=1, ceil_mode=True)
case("max_pool2d", "gaps", [apart(1, 2, 8, 8)], kernel_size=2, stride=3)
case("max_pool2d", "ties", [np.ones((1, 1, 6, 6))], kernel_size=3, stride=2, padding=1, smooth=False)

# recurrent
case("rnn_tanh", "two biases",
     [normal(5, 2, 4), normal(2, 4), 0.5 * normal(4, 4, seed=2), 0.5 * normal(4, 4), normal(4), normal(4, seed=1)])
case("rnn_tanh", "without bias", [normal(5, 2, 3), normal(2, 4), 0.5 * normal(4, 3), 0.5 * normal(4, 4)])
case("rnn_tanh", "one sequence", [normal(5, 3), normal(4), 0.5 * normal(4, 3), 0.5 * normal(4, 4), normal(4), normal(4, seed=1)])
