"""Rows of text as aligned columns."""


def aligned(rows, left=(0,)) -> list[str]:
    """One line for each row, columns of one width; those numbered in `left` begin at the left, the others end at the right.

    >>> aligned([("a", "1"), ("bcd", "22")])
    ['a     1', 'bcd  22']
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    padded = ([c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))] for row in rows)
    return ["  ".join(row).rstrip() for row in padded]
