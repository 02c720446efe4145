"""Cases of BatchNorm and InstanceNorm."""

import numpy as np

from .table import module, normal, positive

inputs = {"1d": normal(4, 3, 5), "2d": normal(2, 3, 2, 3), "3d": normal(2, 3, 2, 1, 3)}
one_example = {"1d": normal(1, 3, 4), "2d": normal(1, 3, 2, 2), "3d": normal(1, 3, 1, 2, 2)}

for d, x in inputs.items():
    name = "BatchNorm" + d
    module(name, "default", lambda lib, name=name: getattr(lib.nn, name)(3), [x])
    module(name, "average over all batches", lambda lib, name=name: getattr(lib.nn, name)(3, momentum=None), [x])
    module(name, "without affine", lambda lib, name=name: getattr(lib.nn, name)(3, eps=1e-3, momentum=0.3, affine=False), [x])
    module(name, "without statistics or bias", lambda lib, name=name: getattr(lib.nn, name)(3, track_running_stats=False, bias=False), [x])
    module(name, "one example", lambda lib, name=name: getattr(lib.nn, name)(3), [one_example[d]])

module("BatchNorm1d", "without length", lambda lib: lib.nn.BatchNorm1d(4), [normal(5, 4)])
module("BatchNorm1d", "variance 0", lambda lib: lib.nn.BatchNorm1d(2), [np.ones((3, 2))])
module("BatchNorm1d", "batch 0", lambda lib: lib.nn.BatchNorm1d(2), [normal(0, 2)], keep=True)

for d, x in inputs.items():
    name = "InstanceNorm" + d
    options = {"affine": True, "track_running_stats": True}
    module(name, "default", lambda lib, name=name: getattr(lib.nn, name)(3), [x])
    module(name, "affine", lambda lib, name=name: getattr(lib.nn, name)(3, eps=1e-3, affine=True), [x])
    module(name, "running statistics", lambda lib, name=name: getattr(lib.nn, name)(3, momentum=0.3, **options), [x])
    module(name, "unbatched", lambda lib, name=name: getattr(lib.nn, name)(3, bias=False, **options), [x[0]])

module("InstanceNorm1d", "momentum None", lambda lib: lib.nn.InstanceNorm1d(3, momentum=None, track_running_stats=True), [normal(2, 3, 4)])
module("InstanceNorm1d", "variance 0", lambda lib: lib.nn.InstanceNorm1d(2, affine=True), [np.ones((3, 2, 4))])

stats = [normal(3, seed=1), positive(3)]
affine = [normal(3, seed=2), normal(3, seed=3)]
x = inputs["1d"]
module("batch_norm", "training", lambda lib: lambda x, w, b: lib.F.batch_norm(x, None, None, w, b, True, 0.1, 1e-3), [x, *affine])
module("batch_norm", "evaluation", lambda lib: lambda x, *a: lib.F.batch_norm(x, *map(lib.array, stats), *a), [x, *affine])
module("batch_norm", "plain", lambda lib: lambda x: lib.F.batch_norm(x, None, None, training=True), [x])
module("batch_norm", "bias alone", lambda lib: lambda x, b: lib.F.batch_norm(x, None, None, bias=b, training=True), [x, affine[1]])
module("instance_norm", "affine", lambda lib: lambda x, w, b: lib.F.instance_norm(x, weight=w, bias=b), [x, *affine])


def by_running_statistics(lib):
    return lambda x, *affine: lib.F.instance_norm(x, *map(lib.array, stats), *affine, use_input_stats=False)


module("instance_norm", "running", by_running_statistics, [x, *affine])
module("instance_norm", "plain", lambda lib: lambda x: lib.F.instance_norm(x, eps=0.1), [inputs["2d"]])
module("instance_norm", "weight alone", lambda lib: lambda x, w: lib.F.instance_norm(x, weight=w), [x, affine[0]])
