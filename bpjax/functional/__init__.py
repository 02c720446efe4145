"""Layers as pure functions, forward and backward side by side. `bpjax.nn.functional` is this module."""

from .activation import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, silu, softmax, softplus, tanh
from .convolution import conv2d
from .cross_entropy import cross_entropy, nll_loss
from .ctc import ctc_loss
from .dropout import dropout
from .linear import bilinear, flatten, identity, linear
from .linear_cross_entropy import linear_cross_entropy
from .loss import binary_cross_entropy, binary_cross_entropy_with_logits, huber_loss, l1_loss, mse_loss
from .normalization import batch_norm, batch_norm_statistics, layer_norm, rms_norm
from .pooling import max_pool2d
from .recurrent import gru, gru_cell, lstm, lstm_cell, rnn_relu, rnn_relu_cell, rnn_tanh, rnn_tanh_cell
from .sparse import embedding
from .vision import affine_grid, channel_shuffle, grid_sample, interpolate, pixel_shuffle, pixel_unshuffle

__all__ = [
    "affine_grid",
    "batch_norm",
    "batch_norm_statistics",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "channel_shuffle",
    "conv2d",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "elu",
    "embedding",
    "flatten",
    "gelu",
    "grid_sample",
    "gru",
    "gru_cell",
    "huber_loss",
    "identity",
    "interpolate",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "lstm",
    "lstm_cell",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "pixel_shuffle",
    "pixel_unshuffle",
    "relu",
    "rms_norm",
    "rnn_relu",
    "rnn_relu_cell",
    "rnn_tanh",
    "rnn_tanh_cell",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]
