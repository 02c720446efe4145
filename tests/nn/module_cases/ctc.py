"""Cases of connectionist temporal classification: log_probs as they are, and out of a log_softmax."""

import numpy as np

from .table import module, normal

z, targets = normal(5, 2, 4), np.array([[1, 2, 2], [3, 1, 0]])
z_off = z - np.log(np.exp(z).sum(-1, keepdims=True))
one_row = np.array([1, 2, 2, 3, 1])


def of_logits(name, z, targets, inputs, lengths, **options):
    def make(lib):
        criterion = lib.nn.CTCLoss(**options)
        return lambda z: criterion(lib.F.log_softmax(z, -1), lib.array(targets), lib.array(inputs), lib.array(lengths))

    module("CTCLoss", name, make, [z])


of_logits("of logits", z, targets, (5, 4), (3, 2))
of_logits("of logits, in one row, blank 3, sum", z, one_row % 3, (5, 4), (3, 2), blank=3, reduction="sum")
of_logits("of logits, no path, zero_infinity", z, targets, (3, 5), (3, 2), zero_infinity=True, reduction="none")
of_logits("of logits, large", 1e4 * z, targets, (5, 5), (3, 2), reduction="none")
of_logits("of logits, unbatched", z[:, 0], targets[0], 5, 3, reduction="none")
module("CTCLoss", "of log-probabilities", lambda lib: lib.nn.CTCLoss(), [z_off, targets, np.array([5, 4]), np.array([3, 2])])
module("CTCLoss", "no targets", lambda lib: lib.nn.CTCLoss(), [z_off, targets, np.array([5, 0]), np.array([0, 0])])
module("ctc_loss", "tuples, none", lambda lib: lambda lp, t: lib.F.ctc_loss(lp, t, (5, 4), (3, 2), reduction="none"), [z_off, targets])
