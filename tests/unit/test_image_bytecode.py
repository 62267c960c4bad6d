"""Bytecode in an image: taken without a look at its source, equal each time."""

import importlib.util
from pathlib import Path

from scripts.image import bytecode


def compiled(source: Path) -> bytes:
    return Path(importlib.util.cache_from_source(str(source))).read_bytes()


def test_sources_are_compiled_once_and_what_is_no_python_is_left_alone(tmp_path: Path) -> None:
    good, bad = tmp_path / "deep" / "good.py", tmp_path / "template.py"
    good.parent.mkdir()
    good.write_text("x = 1\n")
    bad.write_text("{% not python %}\n")
    assert bytecode.compile_below(tmp_path) == 2
    first = compiled(good)
    assert first[4:8] == b"\1\0\0\0"
    assert bytecode.compile_below(tmp_path) == 1
    assert compiled(good) == first


def test_bytecode_that_hangs_on_a_files_time_is_made_anew(tmp_path: Path) -> None:
    """pip's and the collection's: builders set times, and then it would never be used."""
    import py_compile  # noqa: PLC0415

    source = tmp_path / "a.py"
    source.write_text("x = 1\n")
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    assert compiled(source)[4:8] == b"\0\0\0\0"
    bytecode.compile_below(tmp_path)
    assert compiled(source)[4:8] == b"\1\0\0\0"
