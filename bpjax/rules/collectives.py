"""Communication between devices, and what says where an array lies.

Inside a `shard_map` the type of a value says over which axes of the mesh it varies. A value that does not vary is one value for all
devices, and its cotangent the sum of theirs: `pvary`, which only changes the type, has a sum as its backward, and the sum
`psum_invariant` has `pvary`.
"""

from jax import lax

from ..engine import rule
from ..program import jaxprs


def _axis_names(axes) -> tuple:
    return tuple(a for a in axes if not isinstance(a, int))


@rule("pvary")
def _(eq, dy):
    return lax.psum(dy, eq["axes"])


@rule("psum_invariant")
def _(eq, dy):
    return lax.pcast(dy, eq["axes"], to="varying")


@rule("psum")
def _(eq, dy):
    """Where no type says what varies, each cotangent is that of one copy of the sum, and all copies count. A vmapped axis is spread."""
    names, shape = _axis_names(eq["axes"]), eq.in_avals[0].shape
    axes = [a for a in eq["axes"] if isinstance(a, int)]
    dy = lax.psum(dy, names, axis_index_groups=eq["axis_index_groups"]) if names else dy
    return lax.broadcast_in_dim(dy, shape, [i for i in range(len(shape)) if i not in axes]) if axes else dy


@rule("all_gather")
def _(eq, dy):
    options = {"axis_index_groups": eq["axis_index_groups"], "tiled": eq["tiled"]}
    return lax.psum_scatter(dy, eq["axis_name"], scatter_dimension=eq["all_gather_dimension"], **options)


@rule("reduce_scatter")
def _(eq, dy):
    options = {"axis_index_groups": eq["axis_index_groups"], "tiled": eq["tiled"]}
    return lax.all_gather(dy, eq["axis_name"], axis=eq["scatter_dimension"], **options)


@rule("ppermute")
def _(eq, dy):
    return lax.ppermute(dy, eq["axis_name"], [(target, source) for source, target in eq["perm"]])


@rule("all_to_all")
def _(eq, dy):
    options = {"axis_index_groups": eq["axis_index_groups"], "tiled": True}
    return lax.all_to_all(dy, eq["axis_name"], split_axis=eq["concat_axis"], concat_axis=eq["split_axis"], **options)


@rule("reshard")
def _(eq, dy):
    return jaxprs.typed(dy, eq.in_avals[0])
