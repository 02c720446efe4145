"""Cases of normalization."""

import numpy as np

import bpjax.functional as F

from .table import case, normal, positive, x

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
