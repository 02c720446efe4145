"""Module of the softmax over many classes in clusters."""

import itertools
import numbers
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .. import functional as F
from .containers import ModuleList, Sequential
from .linear import Linear
from .module import Module


class _Output(NamedTuple):
    output: jax.Array
    loss: jax.Array


class AdaptiveLogSoftmaxWithLoss(Module):
    """log p of classes in clusters: p = p_head(class) for the frequent ones, p_head(cluster) p_cluster(class) for the others.

    Classes are sorted by frequency; `cutoffs` say where the clusters start. Cluster i has its own map through
    ⌊in_features / div_value^(i + 1)⌋ features. All of them are computed for all rows, as shapes are static, and each row picks its own.

    Shapes: (N, in_features) and classes (N,) -> named pair: output (N,), the log p of the targets, and loss, -mean of it; or
    (in_features,) and (). `log_prob`: (N, in_features) -> (N, n_classes); `predict`: -> (N,). Call these on a bound module.
    Formula and backward: those of `linear` and `log_softmax`.
    Errors: ValueError for cutoffs that do not rise within [1, n_classes - 1], a div_value that is not positive, and where shapes do not
    fit; TypeError for a target that is not of integers. A class outside [0, n_classes) gives NaN (PyTorch raises).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveLogSoftmaxWithLoss.html, Grave et al. 2017

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs=[4, 10])
    >>> params, x = model.init(jax.random.key(0)), jnp.ones((3, 8))
    >>> model.apply(params, x, jnp.array([0, 5, 19])).output.shape
    (3,)
    >>> model.bind(params).log_prob(x).shape
    (3, 20)
    """

    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, *, dtype=None):
        cutoffs = list(cutoffs)
        whole = all(isinstance(c, numbers.Integral) for c in cutoffs)
        if not cutoffs or not whole or any(a >= b for a, b in itertools.pairwise([0, *cutoffs, n_classes])):
            raise ValueError(
                f"AdaptiveLogSoftmaxWithLoss: cutoffs must be whole numbers that rise within [1, n_classes - 1 = {n_classes - 1}], "
                f"at least one, got {cutoffs}"
            )
        if not div_value > 0:
            raise ValueError(f"AdaptiveLogSoftmaxWithLoss: div_value must be positive, got {div_value}")
        self.in_features, self.n_classes, self.div_value, self.head_bias = in_features, n_classes, div_value, head_bias
        self.cutoffs = [*cutoffs, n_classes]
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, dtype=dtype)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            features = int(in_features // div_value ** (i + 1))
            maps = Linear(in_features, features, bias=False, dtype=dtype), Linear(features, high - low, bias=False, dtype=dtype)
            self.tail.append(Sequential(*maps))

    def forward(self, input_, target_):
        if not jnp.issubdtype(target_.dtype, jnp.integer):
            raise TypeError(f"expected a target of classes (integers), got {target_.dtype} of shape {target_.shape}")
        if target_.ndim > 1 or input_.ndim != target_.ndim + 1 or input_.shape[:-1] != target_.shape:
            expected = "input (N, in_features) and target (N,), or (in_features,) and ()"
            raise ValueError(f"expected {expected}, got {input_.shape} and {target_.shape}")
        target_ = jnp.asarray(target_, int)
        head = F.log_softmax(self.head(input_), -1)
        output = _at(head, target_)
        for i, (low, high) in enumerate(itertools.pairwise(self.cutoffs)):
            of_cluster = head[..., self.shortlist_size + i] + _at(F.log_softmax(self.tail[i](input_), -1), target_ - low)
            output = jnp.where((target_ >= low) & (target_ < high), of_cluster, output)
        output = jnp.where((target_ >= 0) & (target_ < self.n_classes), output, jnp.nan)
        return _Output(output, -output.mean(dtype=jnp.promote_types(output.dtype, jnp.float32)))

    def log_prob(self, input):
        """The log-probabilities of all classes."""
        if input.ndim != 2:
            raise ValueError(f"AdaptiveLogSoftmaxWithLoss: expected input (N, in_features), got {input.shape}")
        head = F.log_softmax(self.head(input), -1)
        tails = [head[:, self.shortlist_size + i, None] + F.log_softmax(tail(input), -1) for i, tail in enumerate(self.tail)]
        return jnp.concatenate([head[:, : self.shortlist_size], *tails], -1)

    def predict(self, input):
        """The most probable class of each row."""
        return self.log_prob(input).argmax(-1)


def _at(log_probs, index):
    """The values at the indices, those outside brought to the edge: they are not used."""
    return jnp.take_along_axis(log_probs, jnp.clip(index, 0, log_probs.shape[-1] - 1)[..., None], -1)[..., 0]
