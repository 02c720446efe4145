"""Cases of the norms over axes, groups and neighbouring channels."""

import numpy as np

import bpjax.functional as F

from .table import case, normal, x

inf = float("inf")

case("layer_norm", "affine", [x, normal(6), normal(6, seed=1)], f=lambda x, w, b: F.layer_norm(x, (6,), w, b))
case("layer_norm", "plain", [x], normalized_shape=6)
case("layer_norm", "two axes, weight alone", [normal(2, 3, 4), normal(3, 4)], f=lambda x, w: F.layer_norm(x, (3, 4), w, None, 1e-3))
case("layer_norm", "bias alone", [normal(2, 3), normal(3)], f=lambda x, b: F.layer_norm(x, (3,), None, b))
case("layer_norm", "variance 0", [np.ones((2, 3)), normal(3)], f=lambda x, w: F.layer_norm(x, (3,), w))
case("layer_norm", "batch 0", [normal(0, 3), normal(3)], f=lambda x, w: F.layer_norm(x, (3,), w))

case("rms_norm", "weight", [x, normal(6)], f=lambda x, w: F.rms_norm(x, (6,), w, 1e-6))
case("rms_norm", "two axes, eps of the type", [normal(2, 3, 4)], normalized_shape=[3, 4])
case("rms_norm", "zeros", [np.zeros((2, 3)), normal(3)], f=lambda x, w: F.rms_norm(x, (3,), w))
case("rms_norm", "batch 0", [normal(0, 3), normal(3)], f=lambda x, w: F.rms_norm(x, (3,), w))

grouped = [normal(4, 4, 4), normal(4), normal(4, seed=1)]
case("group_norm", "affine", grouped, f=lambda x, w, b: F.group_norm(x, 2, w, b))
case("group_norm", "plain, images", [normal(2, 6, 3, 1)], num_groups=3)
case("group_norm", "groups of one channel, weight alone", [normal(1, 3, 5), normal(3)], f=lambda x, w: F.group_norm(x, 3, w, eps=0.1))
case("group_norm", "without space, bias alone", [normal(3, 4), normal(4)], f=lambda x, b: F.group_norm(x, 1, None, b))
case("group_norm", "variance 0", [np.ones((2, 4, 1)), normal(4)], f=lambda x, w: F.group_norm(x, 4, w))
case("group_norm", "batch 0", [normal(0, 4, 2), normal(4)], f=lambda x, w: F.group_norm(x, 2, w))

case("local_response_norm", "odd size", [normal(4, 4, 4)], size=3, alpha=0.5)
case("local_response_norm", "even size, images", [normal(2, 5, 2, 3)], size=2, alpha=2.0, beta=0.5, k=2.0)
case("local_response_norm", "more neighbours than channels", [normal(1, 3, 2)], size=9, alpha=0.5)
case("local_response_norm", "size 1, zeros", [np.zeros((2, 3, 1))], size=1)
case("local_response_norm", "no values", [normal(0, 3, 2)], size=2)

case("normalize", "euclidean", [x])
case("normalize", "p 3, all axes", [normal(2, 3)], p=3, dim=None)
for p in (inf, 0.5, -1.0, -inf):
    case("normalize", f"p {p}", [x], p=p)
case("normalize", "p 1, two axes, zeros", [x * (x > 0)], p=1, dim=(0, -1), smooth=False)
case("normalize", "p 1/2, a row of zeros", [np.array([[2.0, -1.0, 0.0], [0.0, 0.0, 0.0]])], p=0.5, smooth=False)
case("normalize", "p inf, ties", [np.array([[2.0, -2.0, 1.0], [0.0, 0.0, 0.0]])], p=inf, smooth=False)
case("normalize", "p -inf, ties", [np.array([[2.0, -2.0, 3.0], [0.0, 1.0, 4.0]])], p=-inf, smooth=False)
case("normalize", "p -1", [np.array([[2.0, -2.0, 3.0], [0.0, 1.0, 4.0]])], p=-1.0, smooth=False)
case("normalize", "p 0", [x * (x > 0)], p=0, dim=0, smooth=False)
case("normalize", "at and below eps", [np.array([[3.0, 4.0], [1.0, 1.0], [6.0, 1.0]])], eps=5.0, smooth=False)
case("normalize", "a row of zeros", [np.array([[3.0, 4.0], [0.0, 0.0]])], smooth=False)
