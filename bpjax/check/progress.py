"""How far a check is: a bar, where it takes long, somebody looks on, and tqdm is installed."""

import contextlib
from collections.abc import Callable, Iterator

SECONDS = 5.0  # a shorter check shows none
STAGES = (
    "run in its own types",
    "differentiated in float64",
    "moved along directions",
    "held against the oracles",
    "rules asked one by one",
    "rules run in the types given",
)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """Gives the function that is told each of the stages as it begins."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda stage: None
        return
    how = {"delay": SECONDS, "mininterval": 0, "leave": False, "disable": None, "bar_format": "{desc} {n}/{total} {elapsed}"}
    with tqdm(total=len(STAGES), desc=title, **how) as bar:

        def begin(stage: str) -> None:
            bar.set_description_str(f"{title}: {stage}", refresh=False)
            bar.update(STAGES.index(stage) + 1 - bar.n)

        yield begin
