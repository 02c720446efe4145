"""Cases of the adaptive softmax."""

import numpy as np

from .table import module, normal

x, classes = normal(5, 6), np.array([0, 4, 9, 3, 2])
module("AdaptiveLogSoftmaxWithLoss", "two clusters", lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 5], 2.0), [x, classes])
module("AdaptiveLogSoftmaxWithLoss", "head_bias", lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(6, 10, [4], head_bias=True), [x, classes])
module("AdaptiveLogSoftmaxWithLoss", "a cluster of one class", lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(6, 10, [9]), [x, classes])
module("AdaptiveLogSoftmaxWithLoss", "one row", lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 5], 2.0), [x[0], np.array(7)])
module("AdaptiveLogSoftmaxWithLoss", "large inputs", lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 5], 2.0), [1e4 * x, classes],
       entrywise=True)  # fmt: skip
module("AdaptiveLogSoftmaxWithLoss", "all in the shortlist",
       lambda lib: lib.nn.AdaptiveLogSoftmaxWithLoss(6, 10, [5], 1.5), [x, classes % 5])  # fmt: skip
