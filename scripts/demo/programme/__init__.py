"""What there is to see: one module for each show. An example's is added here to `EXAMPLES`."""

from scripts.demo.programme.echo import ECHO
from scripts.demo.programme.foo import FOO
from scripts.demo.programme.memcached import MEMCACHED
from scripts.demo.programme.minimart import MINIMART
from scripts.demo.programme.printer import PRINTER
from scripts.demo.programme.webecho import WEBECHO
from scripts.demo.shows import Show

__all__ = ["ECHO", "EXAMPLES", "chosen"]

EXAMPLES = (FOO, MEMCACHED, MINIMART, PRINTER, WEBECHO)


def chosen(example: str) -> Show:
    """The show of an example.

    Raises:
        KeyError: there is none; its argument says which there are.
    """
    for show in EXAMPLES:
        if show.name == example:
            return show
    names = ", ".join(sorted(show.name for show in EXAMPLES))
    raise KeyError(f"EXAMPLE={example}: there is no such example (there are {names})")
