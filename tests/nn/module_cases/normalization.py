"""Cases of the norms over axes, groups and neighbouring channels."""

import numpy as np

from .table import module, normal

inf = float("inf")

module("LayerNorm", "default", lambda lib: lib.nn.LayerNorm(4), [normal(3, 4)])
module("LayerNorm", "two axes", lambda lib: lib.nn.LayerNorm([2, 3], eps=1e-3), [normal(4, 2, 3)])
module("LayerNorm", "without bias", lambda lib: lib.nn.LayerNorm((4,), bias=False), [normal(2, 3, 4)])
module("LayerNorm", "plain", lambda lib: lib.nn.LayerNorm(4, elementwise_affine=False), [normal(3, 4)])
module("LayerNorm", "variance 0", lambda lib: lib.nn.LayerNorm(3), [np.ones((2, 3))])
module("LayerNorm", "one vector of one value", lambda lib: lib.nn.LayerNorm(1), [normal(1)])

module("RMSNorm", "default", lambda lib: lib.nn.RMSNorm(4), [1e-8 * normal(3, 4)])  # where the default eps tells
module("RMSNorm", "two axes", lambda lib: lib.nn.RMSNorm([2, 3], eps=1e-3), [normal(4, 2, 3)])
module("RMSNorm", "plain", lambda lib: lib.nn.RMSNorm(4, elementwise_affine=False), [normal(2, 3, 4)])
module("RMSNorm", "by its name in PyTorch", lambda lib: lambda x: lib.nn.RMSNorm(3, elementwise_affine=False)(x=x), [normal(2, 3)])
module("RMSNorm", "zeros", lambda lib: lib.nn.RMSNorm(3), [np.zeros((2, 3))])

module("GroupNorm", "default", lambda lib: lib.nn.GroupNorm(2, 6), [normal(3, 6, 5)])
module("GroupNorm", "as LayerNorm", lambda lib: lib.nn.GroupNorm(1, 4, eps=1e-3), [normal(3, 4)])
module("GroupNorm", "as InstanceNorm, without bias", lambda lib: lib.nn.GroupNorm(3, 3, bias=False), [normal(2, 3, 2, 3)])
module("GroupNorm", "plain, volumes", lambda lib: lib.nn.GroupNorm(2, 4, affine=False), [normal(1, 4, 2, 1, 3)])
module("GroupNorm", "variance 0", lambda lib: lib.nn.GroupNorm(2, 4), [np.ones((2, 4, 3))])

module("LocalResponseNorm", "a sequence", lambda lib: lib.nn.LocalResponseNorm(2, alpha=0.5), [normal(2, 5, 3)])
module("LocalResponseNorm", "images, odd size", lambda lib: lib.nn.LocalResponseNorm(3, 1.0, 0.5, 2.0), [normal(2, 5, 2, 3)])
module("LocalResponseNorm", "more neighbours than channels", lambda lib: lib.nn.LocalResponseNorm(8, 2.0), [normal(1, 3, 2, 2)])
module("LocalResponseNorm", "default, volumes", lambda lib: lib.nn.LocalResponseNorm(5), [30 * normal(1, 3, 2, 1, 2)])

x, w, b = normal(4, 6), normal(6), normal(6, seed=1)
module("layer_norm", "affine", lambda lib: lambda *a: lib.F.layer_norm(a[0], (6,), *a[1:], 1e-3), [x, w, b])
module("rms_norm", "weight", lambda lib: lambda x, w: lib.F.rms_norm(x, (6,), w, 1e-3), [x, w])
module("group_norm", "affine", lambda lib: lambda x, w, b: lib.F.group_norm(x, 3, w, b), [x, w, b])
module("local_response_norm", "even size", lambda lib: lambda x: lib.F.local_response_norm(x, 4, 0.5), [normal(2, 6, 3)])

kinked = np.array([[3.0, -4.0, 0.0], [0.0, 0.0, 0.0], [2.0, 2.0, -1.0], [1.0, 2.0, 3.0]])
for p in (2.0, 1, 3, 0.5, 0, -1, inf, -inf):
    module("normalize", f"p {p}", lambda lib, p=p: lambda x: lib.F.normalize(x, p), [kinked])
module("normalize", "axis 0", lambda lib: lambda x: lib.F.normalize(x, dim=0), [x])
module("normalize", "two axes", lambda lib: lambda x: lib.F.normalize(x, 1.5, dim=(0, 2)), [normal(2, 3, 4)])
module("normalize", "all axes", lambda lib: lambda x: lib.F.normalize(x, dim=None), [x])
module("normalize", "at and below eps", lambda lib: lambda x: lib.F.normalize(x, eps=5.0), [kinked])
