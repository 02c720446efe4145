"""Cases of rotary position embedding."""

import numpy as np

from .table import module, normal

module("RotaryEmbedding", "from the start", lambda lib: lib.nn.RotaryEmbedding(4), [normal(2, 3, 4)], parity=False)
module("RotaryEmbedding", "interleaved", lambda lib: lib.nn.RotaryEmbedding(6, 50.0, True), [normal(2, 5, 6)], parity=False)
module("RotaryEmbedding", "whole positions", lambda lib: lib.nn.RotaryEmbedding(4), [normal(2, 3, 4), np.array([4, 0, 9])], parity=False)
module("RotaryEmbedding", "positions by name", lambda lib: lib.nn.RotaryEmbedding(2), [normal(2, 3, 2)],
       kwargs={"positions": np.array([[0.5, 1.0, 2.0], [3.0, 4.0, 4.0]])}, parity=False)  # fmt: skip
module("RotaryEmbedding", "batch 0", lambda lib: lib.nn.RotaryEmbedding(4), [normal(0, 3, 4)], parity=False)
