"""Cases of distances."""

import numpy as np

from .table import module, normal

inf = float("inf")

pair = [normal(4, 3), normal(4, 3, seed=1)]
equal = np.array([[1.0, 2.0, 4.0], [1.0, 4.0, 2.0], [1.0, 2.0, 4.0], [0.0, 0.0, 0.0]])  # rows, values and distances that are equal
other = np.array([[1.0, 4.0, 2.0], [1.0, 4.0, 2.0], [0.0, 2.0, 5.0], [1.0, 2.0, 3.0]])

module("PairwiseDistance", "default", lambda lib: lib.nn.PairwiseDistance(), pair)
module("PairwiseDistance", "p 3, keepdim", lambda lib: lib.nn.PairwiseDistance(3, eps=1e-3, keepdim=True), pair)
module("PairwiseDistance", "vectors, p 1", lambda lib: lib.nn.PairwiseDistance(p=1), [normal(3), normal(3, seed=1)])
module("PairwiseDistance", "equal rows", lambda lib: lib.nn.PairwiseDistance(), [equal, equal])
for p in (2.0, 1, 1.5, 0.5, -1, inf, -inf):
    module("pairwise_distance", f"p {p} at its kinks", lambda lib, p=p: lambda a, b: lib.F.pairwise_distance(a, b, p, 0.0), [equal, other])
module("pairwise_distance", "broadcast", lambda lib: lib.F.pairwise_distance, [normal(2, 4, 3), normal(4, 1)])

module("CosineSimilarity", "default", lambda lib: lib.nn.CosineSimilarity(), pair)
module("CosineSimilarity", "axis 0", lambda lib: lib.nn.CosineSimilarity(dim=0, eps=1e-3), pair)
module("CosineSimilarity", "broadcast", lambda lib: lib.nn.CosineSimilarity(-1), [normal(2, 1, 3), normal(4, 3)])
module("CosineSimilarity", "zeros", lambda lib: lib.nn.CosineSimilarity(), [equal, equal[::-1].copy()])
module("CosineSimilarity", "below eps", lambda lib: lib.nn.CosineSimilarity(eps=5.0), [equal, other])
module("cosine_similarity", "vectors", lambda lib: lambda a, b: lib.F.cosine_similarity(a, b, dim=0), [normal(3), normal(3, seed=1)])

module("pdist", "default", lambda lib: lib.F.pdist, [normal(4, 3)])
module("pdist", "one row", lambda lib: lib.F.pdist, [normal(1, 3)])
for p in (2.0, 1, 3, 1.5, 0.5, 0, inf):
    module("pdist", f"p {p} at its kinks", lambda lib, p=p: lambda x: lib.F.pdist(x, p), [equal])
