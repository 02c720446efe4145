"""Cases of embeddings."""

import numpy as np

from .table import integers, module, normal

INDEX = np.array([[0, 3, 3], [1, 4, 0]])
FLAT, OFFSETS = INDEX.reshape(-1), np.array([0, 2, 2, 3])
EVEN = np.array([0, 3, 3, 1, 1, 0])  # PyTorch divides by the frequency of another index on a CPU: here all are as frequent
WEIGHTS = normal(5, 3)
TIES = np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 2.0], [0.0, 0.0], [-1.0, 2.0]])


def table(id, input=INDEX, **options):
    module("Embedding", id, lambda lib: lib.nn.Embedding(5, 3, **options), [input])


table("repeated indices")
table("scalar", np.array(3))
table("no indices", INDEX[:0])
table("padding", padding_idx=3)
table("negative padding", padding_idx=-2)
table("by frequency", scale_grad_by_freq=True)
table("by frequency, padding", scale_grad_by_freq=True, padding_idx=0)
for id, options in [("frozen", {}), ("trained", {"freeze": False}), ("trained, padding", {"freeze": False, "padding_idx": 3})]:
    module(
        "Embedding",
        f"pretrained, {id}",
        lambda lib, options=options: lib.nn.Embedding.from_pretrained(lib.array(WEIGHTS), **options),
        [INDEX],
        keep=True,
    )


def bags(id, *inputs, kwargs=None, **options):
    module("EmbeddingBag", id, lambda lib: lib.nn.EmbeddingBag(5, 3, **options), inputs or [FLAT, OFFSETS], kwargs=kwargs)


bags("mean")
bags("mean of rows", INDEX)
bags("mean, padding, last offset", FLAT, np.array([0, 2, 6]), padding_idx=-2, include_last_offset=True)
bags("mean by frequency", EVEN, OFFSETS, scale_grad_by_freq=True)
bags("sum by frequency, padding", EVEN, OFFSETS, scale_grad_by_freq=True, mode="sum", padding_idx=3)
bags("sum, weighted", FLAT, OFFSETS, normal(6), mode="sum")
bags("sum of rows, weighted, padding", INDEX, kwargs={"per_sample_weights": normal(2, 3)}, mode="sum", padding_idx=0)
bags("sum by frequency, weighted", EVEN, OFFSETS, normal(6), mode="sum", scale_grad_by_freq=True)
bags("maximum", mode="max")
bags("maximum of rows, padding", INDEX, mode="max", padding_idx=0)
bags("maximum, last offset", FLAT, np.array([0, 0, 4, 6]), mode="max", include_last_offset=True)
bags("no bags", FLAT[:0], OFFSETS[:0])
bags("bags of nothing", FLAT[:0], np.array([0, 0]), mode="max")
for mode in ["mean", "max"]:
    module(
        "EmbeddingBag",
        f"pretrained, {mode}, ties",
        lambda lib, mode=mode: lib.nn.EmbeddingBag.from_pretrained(lib.array(TIES), freeze=False, mode=mode, padding_idx=3),
        [INDEX],
        keep=True,
    )

for id, classes, n in [("of rows", INDEX, 5), ("none", INDEX[:0], 2), ("scalar", np.array(3), 4), ("more", integers(4, 3), 7)]:
    module("one_hot", id, lambda lib, classes=classes, n=n: lambda x: lib.F.one_hot(lib.array(classes), n) * x, [normal()])
