"""Cases of rotary position embedding."""

import numpy as np

import bpjax.functional as F

from .table import case, normal

case("rotary_embedding", "from the start", [normal(6, 6)])
case("rotary_embedding", "interleaved, base 100", [normal(2, 3, 4)], interleaved=True, base=100.0)
case("rotary_embedding", "whole positions", [normal(2, 3, 4)], f=lambda x: F.rotary_embedding(x, np.array([7, 0, 1000])))
each = np.array([[[0, 5]], [[-3, 2]]])
case("rotary_embedding", "positions of each sequence", [normal(2, 3, 2, 4)], f=lambda x: F.rotary_embedding(x, each))
case("rotary_embedding", "broken positions that get no gradient", [normal(3, 4), np.array([0.5, -1.25, 3e4])])
case("rotary_embedding", "one position, one pair", [normal(1, 2)])
case("rotary_embedding", "batch 0", [normal(0, 3, 4)])
