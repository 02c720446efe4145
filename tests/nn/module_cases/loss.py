"""Cases of losses of regression and of likelihoods."""

import numpy as np

from .table import integers, module, normal, positive, unit

EVAL = ("eval",)  # the same as in training
x, t, p, q = normal(3, 4), normal(3, 4, seed=1), unit(3, 4), unit(3, 4, seed=1)
at_kinks = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])


def loss(name, id, inputs, kwargs=None, /, **options):
    module(name, id, lambda lib: getattr(lib.nn, name)(**options), inputs, kwargs=kwargs, modes=EVAL)


def function(name, id, inputs, kwargs=None, /, **options):
    module(name, id, lambda lib: lambda *a, **k: getattr(lib.F, name)(*a, **k, **options), inputs, kwargs=kwargs, modes=EVAL)


for how in ["mean", "sum", "none"]:
    loss("MSELoss", how, [x, t], reduction=how)
    loss("L1Loss", how, [x, t], reduction=how)
    loss("SmoothL1Loss", how, [x, t], reduction=how, beta=0.5)
    loss("HuberLoss", how, [x, t], reduction=how, delta=0.5)
    loss("PoissonNLLLoss", how, [x, 3 * q], reduction=how, full=True)
    loss("GaussianNLLLoss", how, [x, t, positive(3, 4)], reduction=how)
    loss("KLDivLoss", how, [-positive(3, 4), q], reduction=how)
    loss("BCELoss", how, [p, q], reduction=how)
    loss("BCEWithLogitsLoss", how, [x, q], reduction=how)
    loss("MultiLabelSoftMarginLoss", how, [x, q], reduction=how)
    for name, option in [("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {"delta": 0.5})]:
        function(name, f"weight, {how}", [x, t], {"weight": positive(3, 4)}, reduction=how, **option)
for name in ["MSELoss", "L1Loss", "SmoothL1Loss"]:
    module(name, "size_average, in order", lambda lib, name=name: getattr(lib.nn, name)(False, True), [x, t], modes=EVAL)
    loss(name, "reduce", [x, t], reduce=False)
for name in ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss"]:
    loss(name, "at kinks", [at_kinks, np.zeros(7)])
    loss(name, "scalar", [normal(), normal(seed=1)])
    loss(name, "empty", [normal(0, 2), normal(0, 2)])
loss("SmoothL1Loss", "beta 0", [at_kinks, np.zeros(7)], beta=0.0)
loss("MSELoss", "a target of integers", [x], {"target": integers(5, 3, 4)})
loss("PoissonNLLLoss", "rates", [positive(3, 4), positive(3, 4, seed=1)], log_input=False, eps=0.1)
loss("PoissonNLLLoss", "counts, full", [x], {"target": integers(5, 3, 4)}, full=True)
loss("PoissonNLLLoss", "empty", [normal(0), normal(0)])
module("PoissonNLLLoss", "in order", lambda lib: lib.nn.PoissonNLLLoss(False, True, False, 0.5), [p, 1 + q], modes=EVAL)
loss("GaussianNLLLoss", "full", [x, t, positive(3, 4)], full=True)
loss("GaussianNLLLoss", "a variance for each row", [x, t, positive(3)])
loss("GaussianNLLLoss", "a variance for each column, a target spread", [x, normal(3, 1), positive(1, 4)])
loss("GaussianNLLLoss", "a scalar variance", [normal(3), normal(3, seed=1), np.array(0.3)])
loss("GaussianNLLLoss", "cut off", [x, t, 0.2 * q], eps=0.1)
loss("GaussianNLLLoss", "a variance of a number", [x, t], {"var": 0.25})
loss("KLDivLoss", "batchmean", [-positive(3, 4), q], reduction="batchmean")
loss("KLDivLoss", "log_target", [-positive(3, 4), -positive(3, 4, seed=1)], reduction="batchmean", log_target=True)
loss("KLDivLoss", "a target with 0", [-positive(3)], {"target": np.array([0.0, 1.0, 0.5])}, reduction="sum")
loss("KLDivLoss", "scalar", [normal(), unit()], reduction="batchmean")
module("KLDivLoss", "in order", lambda lib: lib.nn.KLDivLoss(False, None, "none", True), [x, t], modes=EVAL)
module("BCELoss", "weight", lambda lib: lib.nn.BCELoss(lib.array(positive(4))), [p, q], modes=EVAL)
module("BCELoss", "weight, in order", lambda lib: lib.nn.BCELoss(lib.array(positive(3, 1)), False), [p, q], modes=EVAL)
loss("BCELoss", "edges", [np.array([0.0, 1.0, 0.0, 1.0, 1e-13])], {"target": np.array([0.0, 0.0, 1.0, 1.0, 0.5])}, reduction="none")
loss("BCELoss", "scalar", [unit(), unit(seed=1)])
module("BCEWithLogitsLoss", "weight", lambda lib: lib.nn.BCEWithLogitsLoss(lib.array(positive(4))), [x, q], modes=EVAL)
module("BCEWithLogitsLoss", "pos_weight", lambda lib: lib.nn.BCEWithLogitsLoss(pos_weight=lib.array(positive(4))), [x, q], modes=EVAL)
module(
    "BCEWithLogitsLoss",
    "both, in order",
    lambda lib: lib.nn.BCEWithLogitsLoss(lib.array(positive(3, 1)), None, False, "mean", lib.array(positive(1))),
    [x, q],
    modes=EVAL,
)
loss("BCEWithLogitsLoss", "extremes", [np.array([1e4, -1e4, 0.0, 1e4]), np.array([1.0, 1.0, 1.0, 0.0])])
loss("BCEWithLogitsLoss", "empty", [normal(0, 3), normal(0, 3)])
module("MultiLabelSoftMarginLoss", "weight", lambda lib: lib.nn.MultiLabelSoftMarginLoss(lib.array(positive(4))), [x, q], modes=EVAL)
loss("MultiLabelSoftMarginLoss", "leading axes", [normal(2, 3, 4), unit(2, 3, 4, seed=1)], reduction="none")
loss("MultiLabelSoftMarginLoss", "one row of extremes", [np.array([1e4, -1e4, 0.0])], {"target": np.array([1, 1, 0])})
