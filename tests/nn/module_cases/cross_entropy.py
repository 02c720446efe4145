"""Cases of losses of classes."""

import numpy as np

from .table import module, normal, positive, unit

z, classes, w = normal(5, 4), np.array([0, 3, 1, -100, 2]), positive(4)
z3, classes3 = normal(2, 4, 3), np.array([[1, 0, 3], [2, -100, 2]])
module("CrossEntropyLoss", "mean", lambda lib: lib.nn.CrossEntropyLoss(), [z, classes])
module("CrossEntropyLoss", "weight, in 2 dims", lambda lib: lib.nn.CrossEntropyLoss(lib.array(w)), [z3, classes3], keep=True)
module("CrossEntropyLoss", "weight, smoothing, sum",
       lambda lib: lib.nn.CrossEntropyLoss(lib.array(w), label_smoothing=0.3, reduction="sum"), [z, classes])  # fmt: skip
module("CrossEntropyLoss", "probabilities, weight, smoothing",
       lambda lib: lib.nn.CrossEntropyLoss(lib.array(w), label_smoothing=0.3), [z3, unit(2, 4, 3)])  # fmt: skip
module("CrossEntropyLoss", "ignore_index 2, none", lambda lib: lib.nn.CrossEntropyLoss(ignore_index=2, reduction="none"), [z, classes % 4])
module("CrossEntropyLoss", "one row, smoothing of 1", lambda lib: lib.nn.CrossEntropyLoss(label_smoothing=1.0), [z[0], np.array(2)])
module("CrossEntropyLoss", "large logits", lambda lib: lib.nn.CrossEntropyLoss(), [1e4 * z, classes])
module("CrossEntropyLoss", "batch 0, sum", lambda lib: lib.nn.CrossEntropyLoss(reduction="sum"), [z[:0], classes[:0]])
module("NLLLoss", "mean", lambda lib: lib.nn.NLLLoss(), [z, classes])
module("NLLLoss", "weight, in 2 dims", lambda lib: lib.nn.NLLLoss(lib.array(w)), [z3, classes3], keep=True)
module("NLLLoss", "weight, ignore_index 2, sum", lambda lib: lib.nn.NLLLoss(lib.array(w), None, 2, None, "sum"), [z, classes % 4])
module("NLLLoss", "one row", lambda lib: lib.nn.NLLLoss(), [z[0], np.array(2)])
module("NLLLoss", "none", lambda lib: lib.nn.NLLLoss(reduction="none"), [z, classes])
