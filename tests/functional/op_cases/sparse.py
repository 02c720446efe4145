"""Cases of embeddings."""

import numpy as np

import bpjax.functional as F

from .table import case, normal

index = np.array([[0, 3, 3], [1, 4, 0]])
case("embedding", "repeated indices", [normal(5, 5)], f=lambda W: F.embedding(index, W))
case("embedding", "padding", [normal(5, 3)], f=lambda W: F.embedding(index, W, 3))
case("embedding", "negative padding", [normal(5, 3)], f=lambda W: F.embedding(index, W, -2))
