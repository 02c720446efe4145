"""Layers as pure functions, forward and backward side by side. `bpjax.nn.functional` is this module."""

from .activation import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus, tanh
from .batch_norm import batch_norm, batch_norm_statistics, instance_norm, instance_norm_statistics
from .convolution import conv2d
from .cross_entropy import cross_entropy, nll_loss
from .distance import cosine_similarity, pairwise_distance, pdist
from .dropout import dropout
from .linear import bilinear, flatten, identity, linear
from .loss import binary_cross_entropy, binary_cross_entropy_with_logits, huber_loss, l1_loss, mse_loss
from .normalization import group_norm, layer_norm, local_response_norm, normalize, rms_norm
from .pooling import max_pool2d
from .recurrent import rnn_tanh
from .reparametrization import norm_except_dim, power_iteration, spectral_norm, weight_norm
from .sparse import embedding

__all__ = [
    "batch_norm",
    "batch_norm_statistics",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv2d",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "elu",
    "embedding",
    "flatten",
    "gelu",
    "group_norm",
    "huber_loss",
    "identity",
    "instance_norm",
    "instance_norm_statistics",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "norm_except_dim",
    "normalize",
    "pairwise_distance",
    "pdist",
    "power_iteration",
    "relu",
    "rms_norm",
    "rnn_tanh",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "spectral_norm",
    "tanh",
    "weight_norm",
]
