"""Every name of torch.nn is here, and has its cases."""

import collections

import module_cases
import op_cases
import pytest

import bpjax.functional as F
from bpjax import nn

CLASSES = """
Identity Linear Bilinear Flatten Unflatten Embedding EmbeddingBag
Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Fold Unfold
MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d LPPool1d LPPool2d LPPool3d
AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
MaxUnpool1d MaxUnpool2d MaxUnpool3d FractionalMaxPool2d FractionalMaxPool3d
BatchNorm1d BatchNorm2d BatchNorm3d InstanceNorm1d InstanceNorm2d InstanceNorm3d LayerNorm GroupNorm RMSNorm LocalResponseNorm
weight_norm spectral_norm
ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d ZeroPad3d
ConstantPad1d ConstantPad2d ConstantPad3d CircularPad1d CircularPad2d CircularPad3d
ReLU ReLU6 LeakyReLU PReLU RReLU ELU CELU SELU GELU GLU SiLU Mish Sigmoid LogSigmoid Hardsigmoid Hardswish Hardtanh Hardshrink Softshrink
Tanhshrink Softplus Softsign Softmax Softmax2d Softmin LogSoftmax Tanh Threshold MultiheadAttention
RNN LSTM GRU RNNCell LSTMCell GRUCell
TransformerEncoderLayer TransformerEncoder TransformerDecoderLayer TransformerDecoder Transformer
RotaryEmbedding SwiGLU GEGLU Repeat Reversible
Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout CosineSimilarity PairwiseDistance
L1Loss MSELoss CrossEntropyLoss LinearCrossEntropyLoss CTCLoss NLLLoss PoissonNLLLoss GaussianNLLLoss KLDivLoss BCELoss BCEWithLogitsLoss
MarginRankingLoss HingeEmbeddingLoss MultiLabelMarginLoss HuberLoss SmoothL1Loss SoftMarginLoss MultiLabelSoftMarginLoss
CosineEmbeddingLoss MultiMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss AdaptiveLogSoftmaxWithLoss
PixelShuffle PixelUnshuffle ChannelShuffle Upsample UpsamplingNearest2d UpsamplingBilinear2d
LazyLinear LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d
LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyInstanceNorm1d LazyInstanceNorm2d LazyInstanceNorm3d
Sequential ModuleList ModuleDict ParameterList ParameterDict
""".split()  # fmt: skip

FUNCTIONS = ["interpolate", "grid_sample", "affine_grid", "scaled_dot_product_attention", "pdist"]
WITHOUT_GRADIENT = {"batch_norm_statistics", "power_iteration", "one_hot", "norm_except_dim"}


@pytest.mark.parametrize("name", [*CLASSES, *FUNCTIONS])
def test_has_four_cases_as_a_module(name):
    assert any(hasattr(place, name) for place in (nn, nn.utils, F))
    assert sum(case.name == name for case in module_cases.CASES) >= 4


def test_every_class_is_listed():
    kinds = {n for n in nn.__all__ if isinstance(getattr(nn, n), type)}
    assert kinds - {"Module", "Parameter", "Buffer", "LinearCrossEntropyOptions"} == {n for n in CLASSES if not n.endswith("_norm")}


def test_every_function_has_four_cases():
    cases = collections.Counter(case.op for case in op_cases.CASES)
    assert {n: cases[n] for n in F.__all__ if n not in WITHOUT_GRADIENT and cases[n] < 4} == {}
