"""`python -m scripts.bundle`: what `make bundle` does with the output of `kubectl kustomize`, read from stdin."""

import argparse
import shutil
import sys
import tomllib
from pathlib import Path

import yaml

from scripts.bundle.errors import BundleError
from scripts.bundle.files import files

_ROOT = Path(__file__).resolve().parents[2]
_ICON = _ROOT / "config" / "manifests" / "icon.svg"


def main() -> int:
    """Write the bundle; 2 where none can be made."""
    options = _parser().parse_args()
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    try:
        made = files(
            [obj for obj in yaml.safe_load_all(sys.stdin) if obj],
            package=project["name"],
            version=options.version or project["version"],
            channels=[name.strip() for name in options.channels.split(",") if name.strip()],
            icon=_ICON.read_bytes(),
        )
    except BundleError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 2
    _write(options.directory, made)
    print(f"{len(made)} files below {options.directory}: bundle/, bundle.Dockerfile")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.bundle", description=__doc__)
    parser.add_argument("directory", type=Path, help="where bundle/ is written anew")
    parser.add_argument("--version", default="", help="of the operator, without v; empty: pyproject.toml's")
    parser.add_argument("--channels", default="alpha", help="comma list, the default channel first")
    return parser


def _write(directory: Path, made: dict[str, str]) -> None:
    shutil.rmtree(directory / "bundle", ignore_errors=True)  # a manifest that went from config/ goes here too
    for name, content in made.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
