"""Cases of connectionist temporal classification."""

import numpy as np

import bpjax.functional as F

from .table import case, normal


def log_probs(*shape, scale=1.0):
    z = scale * normal(*shape)
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


lp, targets = log_probs(5, 5, 5), np.array([[1, 2, 2], [3, 1, 9], [4, -1, -1], [0, 0, 0], [1, 2, 3]])


def loss(targets, inputs, lengths, **options):
    return lambda lp: F.ctc_loss(lp, targets, inputs, lengths, **options)


case("ctc_loss", "mean", [lp], f=loss(targets, (5, 4, 1, 2, 3), (3, 2, 1, 0, 3)))
case("ctc_loss", "in one row, blank 4, none", [lp[:, :2]], f=loss(np.array([1, 0, 0, 3, 1]), (5, 4), (2, 3), blank=4, reduction="none"))
case("ctc_loss", "unbatched, sum", [lp[:, 0]], f=loss(targets[0], 5, 3, reduction="sum"))
case("ctc_loss", "no path, zero_infinity", [lp[:, :2]], f=loss(targets[:2], (3, 5), (3, 2), zero_infinity=True))
case("ctc_loss", "no input, no targets", [lp[:, :2]], f=loss(np.zeros((2, 0), int), (0, 5), (0, 0), reduction="none"))
case("ctc_loss", "large logits", [log_probs(5, 2, 4, scale=1e4)], f=loss(targets[:2], (5, 5), (3, 2)))
