"""The package as a whole: what each module says it exports is what it has, and nothing happens at import."""

import importlib
import pkgutil
import subprocess
import sys

import pytest

import runner

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(runner.__path__, "runner.")
    if not module.name.endswith("__main__") and not module.ispkg
)


@pytest.mark.parametrize("name", MODULES)
def test_exports_are_named_and_exist(name: str) -> None:
    """`__all__` is the module's contract; a reader need not look further."""
    module = importlib.import_module(name)
    exported = module.__all__
    assert len(exported) == len(set(exported))
    for entry in exported:
        assert hasattr(module, entry), entry


def test_import_of_the_operator_does_not_import_ansible() -> None:
    """Ansible costs 75 MB and half a second; it belongs into the runs' processes."""
    code = "import sys, runner.cli; sys.exit(any(m in sys.modules for m in ('ansible', 'ansible_runner')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
