"""The backward of JAX's primitives, one file for each kind. Importing this fills the engine's table."""

from . import arithmetic, collectives, complex, decompositions, indexing, linear_algebra, reduction, shape, sparse, windows  # noqa: F401
