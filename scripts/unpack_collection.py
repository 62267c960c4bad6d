"""Unpack one collection out of the `ansible` wheel into this interpreter's site-packages.

Only the named collection is taken (1.4 MB of 200): Ansible looks for `ansible_collections` beside itself, so no
path has to be configured, and a project's own collections path still comes first.
"""

import compileall
import sys
import sysconfig
import zipfile
from pathlib import Path


def unpack(wheel: Path, collection: str, target: Path) -> int:
    """Return how many files of `collection` (as `namespace.name`) were written below `target`."""
    prefix = f"ansible_collections/{collection.replace('.', '/')}/"
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(prefix)]
        archive.extractall(target, names)
    # As pip does: else every start of Ansible would compile it anew where writing bytecode is switched off.
    compileall.compile_dir(target / prefix, quiet=1)
    return len(names)


def main() -> int:
    directory, collection = Path(sys.argv[1]), sys.argv[2]
    wheels = sorted(directory.glob("ansible-*.whl"))
    if len(wheels) != 1:
        print(f"{directory}: expected one ansible-*.whl, found {len(wheels)}", file=sys.stderr)
        return 2
    files = unpack(wheels[0], collection, Path(sysconfig.get_path("purelib")))
    if not files:
        print(f"{wheels[0].name}: holds no collection {collection}", file=sys.stderr)
        return 2
    print(f"{collection}: {files} files from {wheels[0].name}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
