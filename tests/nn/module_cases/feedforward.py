"""Cases of feed-forward blocks."""

from .table import module, normal

for name in ("SwiGLU", "GEGLU"):
    for id, options, shape in [
        ("without bias", {}, (5, 4)),
        ("with bias, of another size", {"out_features": 3, "bias": True}, (2, 3, 4)),
        ("one vector", {}, (4,)),
        ("batch 0", {"bias": True}, (0, 4)),
    ]:
        module(name, id, lambda lib, name=name, options=options: getattr(lib.nn, name)(4, 6, **options), [normal(*shape)], parity=False)
module("GEGLU", "tanh", lambda lib: lib.nn.GEGLU(4, 6, approximate="tanh"), [normal(5, 4)], parity=False)
