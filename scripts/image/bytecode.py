"""Compile everything below some directories so that it never has to be compiled again, and equally each time.

A program of its own: it runs inside the image with nothing but a standard library. Bytecode is of the kind that is
taken without a look at its source: an image's sources do not change, and builders set their times as they like.
"""

import compileall
import importlib.util
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

_UNCHECKED = (1).to_bytes(4, "little")


def is_final(bytecode: Path) -> bool:
    """Say whether this is bytecode of this Python that is taken without a look at its source."""
    try:
        with bytecode.open("rb") as file:
            return file.read(8) == importlib.util.MAGIC_NUMBER + _UNCHECKED
    except FileNotFoundError:
        return False


def compile_below(directory: Path) -> int:
    """Compile what is not compiled for good yet; what cannot be compiled (templates of Python) is left alone.

    Returns:
        How many files there are to compile.
    """
    pending = [
        source
        for source in sorted(directory.rglob("*.py"))
        if source.is_file() and not is_final(Path(importlib.util.cache_from_source(str(source))))
    ]
    for source in pending:
        compileall.compile_file(source, force=True, quiet=2, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    return len(pending)


def main() -> int:
    for name in sys.argv[1:]:
        print(f"{name}: {compile_below(Path(name))} sources compiled")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
