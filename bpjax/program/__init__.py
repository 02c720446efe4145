"""A traced function as a list of equations: read, straightened, and to whom each belongs. Knows no rule."""
