"""Cases of unfolding and folding."""

from .table import module, normal

module("Unfold", "plain", lambda lib: lib.nn.Unfold(2), [normal(2, 3, 4, 3)])
module("Unfold", "every option", lambda lib: lib.nn.Unfold((2, 3), (2, 1), (1, 0), (1, 2)), [normal(2, 2, 5, 6)])
module("Unfold", "one image", lambda lib: lib.nn.Unfold(2, padding=1, stride=3), [normal(2, 4, 5)])
module("Unfold", "kernel 1", lambda lib: lib.nn.Unfold(1), [normal(1, 2, 3, 3)])
module("Unfold", "batch 0", lambda lib: lib.nn.Unfold(2), [normal(0, 2, 3, 3)])
module("Fold", "plain", lambda lib: lib.nn.Fold((4, 3), 2), [normal(2, 12, 6)])
module("Fold", "every option", lambda lib: lib.nn.Fold((5, 6), (2, 3), (2, 1), (1, 0), (1, 2)), [normal(2, 12, 10)])
module("Fold", "one image", lambda lib: lib.nn.Fold(4, 2, padding=1, stride=3), [normal(8, 4)])
module("Fold", "windows apart", lambda lib: lib.nn.Fold((5, 4), 1, stride=2), [normal(1, 2, 6)])
module("Fold", "batch 0", lambda lib: lib.nn.Fold(3, 2), [normal(0, 8, 4)])
