"""Every primitive that the installed JAX makes public has a rule, or no gradient, or is refused for a reason given here."""

from collections import Counter

import jax.extend.core.primitives as primitives
from primitive_cases import CASES

import bpjax  # noqa: F401  fills the table
from bpjax.engine import RULES
from bpjax.engine.rule import PrimitiveRule

REFUSED = {
    "communication between devices, without a rule": "pmax pmin ragged_all_to_all psum2 all_gather_invariant",
    "decompositions that JAX does not differentiate either": "hessenberg householder_product schur tridiagonal symmetric_product "
    "geqrf geqp3",
    "another name": "linear_solve",
    "special functions that JAX does not differentiate either": "igamma_grad_a zeta random_gamma_grad",
    "reductions with a function of the user's, by windows": "reduce_window select_and_scatter",
    "references and effects": "get swap addupdate",
    "JAX's own forms, met inside its autodiff only": "custom_lin add_jaxvals",
}


def test_every_primitive_is_accounted_for():
    refused = {name for names in REFUSED.values() for name in names.split()}
    installed = {p.name for key, p in vars(primitives).items() if key.endswith("_p")}
    missing = sorted(n for n in installed if n not in RULES and n not in refused and n.replace("-", "_") not in refused)
    assert not missing


def test_nothing_is_refused_that_has_a_rule():
    refused = {name for names in REFUSED.values() for name in names.split()}
    assert not refused & set(RULES)


def test_every_rule_has_two_cases():
    unseen = {"add_any", "sharding_constraint", "device_put"}  # written by autodiff itself, or about devices: tested on their own
    unseen |= {"all_gather", "all_to_all", "ppermute", "psum", "reduce_scatter", "reshard"}  # in tests/devices
    unseen |= {"nextafter"}  # JAX differentiates it in newer versions alone: in public_functions
    installed = {p.name for key, p in vars(primitives).items() if key.endswith("_p")}
    ruled = {name for name, rule in RULES.items() if name in installed and isinstance(rule, PrimitiveRule)}
    count = Counter(primitive for primitive, *_ in CASES)
    assert sorted(name for name in ruled - unseen if count[name] < 2) == []
