"""The recipes from_output, from_input and from_mask, on ops made here. The activations made with them are checked with all ops."""

import inspect

import jax.numpy as jnp
import pytest

import bpjax
from bpjax.engine import RuleError
from bpjax.functional._shared.recipes import from_input, from_mask, from_output


def scaled(input, by=3.0, unused=None):
    return by * input


def made(recipe, slope, **options):
    op = bpjax.op(scaled, static=("by", "unused"))
    assert recipe(op, **options)(slope) is slope
    return op


@pytest.mark.parametrize("recipe", [from_output, from_input])
def test_a_slope_gets_the_static_arguments_that_it_asks_for(recipe):
    op = made(recipe, lambda kept, by: by + 0 * kept)
    assert bpjax.grad(lambda x: op(x, 5.0))(2.0) == 5.0


@pytest.mark.parametrize(("options", "cut_off"), [({}, 0.0), ({"factor": "by"}, jnp.inf)])
def test_where_the_mask_is_set_nothing_passes_or_a_factor_of_it(options, cut_off):
    op = made(from_mask, lambda x: x <= 0, **options)
    back = bpjax.vjp(op, jnp.array([-1.0, 1.0]))[1]
    assert back(jnp.array([jnp.inf, 2.0]))[0].tolist() == [cut_off, 2.0]  # 0, where 0 times infinity is NaN


@pytest.mark.parametrize("recipe", [from_output, from_input, from_mask])
def test_an_error_names_the_line_of_the_slope(recipe):
    def slope(kept):
        raise ArithmeticError("no slope")

    line = inspect.getsourcelines(slope)[1]
    with pytest.raises(RuleError, match=rf"ArithmeticError: no slope. It stands at .*test_recipes\.py:{line}\b"):
        bpjax.grad(made(recipe, slope))(1.0)
