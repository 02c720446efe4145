"""Module of the loss of sequences without alignment."""

from .. import functional as F
from .module import Module


class CTCLoss(Module):
    """Connectionist temporal classification of log-probabilities.

    Shapes: see the function.
    Formula and backward: see `bpjax.functional.ctc_loss`.
    Errors: those of the function.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> log_probs = jnp.log(jnp.full((2, 1, 2), 0.5))
    >>> round(float(nn.CTCLoss()(log_probs, jnp.array([[1]]), (2,), (1,))), 4)
    0.2877
    """

    def __init__(self, blank=0, reduction="mean", zero_infinity=False):
        self.blank = blank
        self.reduction = reduction
        self.zero_infinity = zero_infinity

    def forward(self, log_probs, targets, input_lengths, target_lengths):
        return F.ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity)
