"""Cases of weights that are made of other parameters."""

from .table import module, normal

image, line = normal(2, 4, 5, 5), normal(2, 4, 6)
for place in ["utils", "utils.parametrizations"]:
    of = lambda lib, place=place: getattr(lib.nn.utils, "parametrizations") if "." in place else lib.nn.utils
    for id, make, x in [
        ("linear", lambda lib, of=of: of(lib).weight_norm(lib.nn.Linear(4, 3)), normal(5, 4)),
        ("its bias", lambda lib, of=of: of(lib).weight_norm(lib.nn.Linear(4, 3), "bias"), normal(5, 4)),
        ("dim None", lambda lib, of=of: of(lib).weight_norm(lib.nn.Linear(4, 3, bias=False), dim=None), normal(5, 4)),
        ("convolution, dim 1", lambda lib, of=of: of(lib).weight_norm(lib.nn.Conv2d(4, 3, 2), dim=1), image),
    ]:
        module("weight_norm", f"{place}, {id}", make, [x])
    for id, make, x in [
        ("linear", lambda lib, of=of: of(lib).spectral_norm(lib.nn.Linear(4, 3)), normal(5, 4)),
        ("3 iterations", lambda lib, of=of: of(lib).spectral_norm(lib.nn.Linear(4, 4), n_power_iterations=3), normal(5, 4)),
        ("dim 1", lambda lib, of=of: of(lib).spectral_norm(lib.nn.Linear(4, 3), dim=1), normal(5, 4)),
        ("convolution", lambda lib, of=of: of(lib).spectral_norm(lib.nn.Conv2d(4, 3, 2)), image),
    ]:
        module("spectral_norm", f"{place}, {id}", make, [x], keep=True)
