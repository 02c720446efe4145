"""Cases of distances."""

import numpy as np

from .table import case, normal, x

inf = float("inf")
kinked = np.array([[1.0, 2.0, 4.0], [1.0, 4.0, 2.0], [1.0, 2.0, 4.0], [0.0, 0.0, 0.0]])  # equal rows, equal values, ties
other = np.array([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0], [0.0, 2.0, 5.0], [1.0, 2.0, 3.0]])

case("pairwise_distance", "euclidean", [x, normal(6, 6, seed=1)])
case("pairwise_distance", "p 3, broadcast, keepdim", [normal(2, 4, 3), normal(4, 1)], p=3, keepdim=True)
case("pairwise_distance", "one vector", [normal(3), normal(3, seed=1)], p=1.5)
for p in (2.0, 1, 0.5, -1, inf, -inf):
    case("pairwise_distance", f"p {p} at its kinks", [kinked, other], p=p, eps=0.0, smooth=False)
case("pairwise_distance", "p 0", [kinked, other], p=0, smooth=False)
case("pairwise_distance", "batch 0", [normal(0, 3), normal(0, 3)])

case("cosine_similarity", "rows", [x, normal(6, 6, seed=1)])
case("cosine_similarity", "broadcast, an axis of both", [normal(2, 1, 3), normal(4, 1)], dim=-1)
case("cosine_similarity", "broadcast, one axis fewer", [normal(2, 3), normal(4, 2, 3)], dim=1)
case("cosine_similarity", "zeros", [np.zeros((2, 3)), np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])], smooth=False)
small = [np.array([[0.3, 0.4], [3.0, 4.0]]), np.array([[4.0, 2.0], [9.0, 1.0]])]
case("cosine_similarity", "below and at eps", small, eps=5.0, smooth=False)
case("cosine_similarity", "one vector", [normal(3), normal(3, seed=1)], dim=0)

case("pdist", "euclidean", [normal(4, 4)])
case("pdist", "p 3", [normal(3, 5)], p=3)
case("pdist", "one row", [normal(1, 3)])
for p in (2.0, 1, 0.5, 0, 1.5, inf):
    case("pdist", f"p {p} at its kinks", [kinked], p=p, smooth=False)
