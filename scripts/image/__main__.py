"""`python -m scripts.image`: what `make image` does."""

import argparse
import os
import shutil
import signal
import sys
import time
import tomllib
from pathlib import Path

from cluster.errors import ClusterError
from cluster.progress import Progress, seconds
from scripts.image import archive, build, engines, steps, workshop
from scripts.image.build import Wish
from scripts.image.errors import ImageError
from scripts.image.project import Project, build_project

_ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return (
            _build(options)
            if options.command == "build"
            else _clean()
            if options.command == "clean"
            else _again(options)
        )
    except (ImageError, ClusterError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing half-made is left", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.image", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("build", "build an image"), ("again", "build it twice and compare the layers")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--target", choices=("operator", "base"), default="operator")
        command.add_argument("--name", default="", help="the image's name with its tag")
        command.add_argument("--base", default="", help="the image to build on; empty: what can be had")
        command.add_argument("--init", default="", help="a Debian to take tini from, where the base is none")
        command.add_argument("--engine", choices=("", *engines.NAMES), default="", help="empty: the first that works")
        command.add_argument("--output", type=Path, help="the archive (default: below dist/)")
        if name == "build":
            command.add_argument("--project", type=Path, help="build this directory's Dockerfile, on the target base")
    commands.add_parser("clean", help="remove all that is kept between builds")
    return parser


def _build(options: argparse.Namespace) -> int:
    started = time.monotonic()
    progress = Progress()
    if options.project:
        project = _project(options)
        archived, title = build_project(project, progress), project.title
    else:
        archived, title = build.build(_wish(options, options.target, options.name), progress), options.target
    target = options.output or _ROOT / "dist" / f"{title}-image.tar"
    build.copy(archived, target)
    image = archive.read(target)
    shown = target.relative_to(Path.cwd()) if target.is_relative_to(Path.cwd()) else target
    progress.say(
        f"{image.name}: {shown}, {target.stat().st_size / 1e6:.0f} MB, {archive.size(image) / 1e6:.0f} MB unpacked, "
        f"in {seconds(time.monotonic() - started)}"
    )
    return 0


def _project(options: argparse.Namespace) -> Project:
    name = options.name or f"localhost/{options.project.resolve().name}-operator:dev"
    return Project(root=options.project, name=name, runtime=_wish(options, "base"))


def _again(options: argparse.Namespace) -> int:
    layers = build.again(_wish(options, options.target, options.name), Progress())
    print("\n".join(layers))
    print(f"equal in two builds: all {len(layers)} layers of {options.target}", file=sys.stderr)
    return 0


def _clean() -> int:
    shutil.rmtree(workshop.store(), ignore_errors=True)
    print(f"removed {workshop.store()}", file=sys.stderr)
    return 0


def _wish(options: argparse.Namespace, target: str, name: str = "") -> Wish:
    """One of our own images, under its usual name where none is given."""
    default = {"operator": "localhost/echo-operator:dev", "base": "localhost/ansible-operator:dev"}[target]
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return Wish(
        root=_ROOT,
        target=target,
        name=name or default,
        base=options.base,
        init=options.init,
        engine=options.engine,
        version=project["version"],
        revision=_revision(),
        epoch=int(os.environ.get("SOURCE_DATE_EPOCH") or build.EPOCH),
    )


def _revision() -> str:
    """The commit that is checked out, marked where files differ from it; `unknown` outside a repository."""
    commit = steps.answer(["git", "-C", str(_ROOT), "rev-parse", "HEAD"])
    if commit is None:
        return "unknown"
    changed = steps.answer(["git", "-C", str(_ROOT), "status", "--porcelain", "--untracked-files=no"])
    return f"{commit}-dirty" if changed else commit


if __name__ == "__main__":
    raise SystemExit(main())
