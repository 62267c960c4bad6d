"""Builds an image with whatever the machine has, and keeps the result by the content it was made of.

The engine is docker, podman or buildah, in this order; buildah is installed where none is and root may. The base is
what the Dockerfile names where that can be pulled, else it is made out of Debian's packages.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.progress import Progress
from scripts.image import archive, debian, inputs, steps, workshop
from scripts.image.engines import Engine, Recipe
from scripts.image.errors import DiffersError

__all__ = ["DEFAULT_BASE", "EPOCH", "Wish", "again", "build", "build_with", "copy"]

DEFAULT_BASE = "docker.io/library/python:3.13-slim"
"""As in the Dockerfile."""
EPOCH = 315532800
"""1980-01-01: the earliest time that a zip archive can hold, and Ansible sends its modules in those. A constant, so
that layers change when their content does, and not with each commit."""
_KEPT = 4
"""Results kept of each target; older ones are removed."""
_CA = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for."""

    root: Path
    target: str
    name: str
    base: str = ""
    """The image to build on. Empty: the Dockerfile's, or Debian's packages where that cannot be pulled."""
    init: str = ""
    """A Debian to take tini from. Empty: the base is one."""
    engine: str = ""
    """Empty: the first that works here."""
    version: str = "dev"
    revision: str = "unknown"
    epoch: int = EPOCH


def build(wish: Wish, progress: Progress) -> Path:
    """Build an image, or find that it has been built.

    Returns:
        Its archive, in the cache.

    Raises:
        errors.ImageError: The image could not be built; says why.
        cluster.errors.ClusterError: A package could not be installed, or the person at the terminal said no.
    """
    with workshop.opened(wish.engine, progress) as engine:
        return build_with(engine, wish, progress)


def again(wish: Wish, progress: Progress) -> tuple[str, ...]:
    """Build an image a second time, taking nothing from the first but the base and downloads.

    Returns:
        The digests of its layers, equal to those of `build`.

    Raises:
        errors.DiffersError: They are not equal.
        errors.ImageError: As `build`.
    """
    with workshop.opened(wish.engine, progress) as engine:
        first = archive.read(build_with(engine, wish, progress)).layers
        second = archive.read(build_with(engine, wish, progress, anew=True)).layers
    if first != second:
        pairs = [f"  {one} {'=' if one == other else '≠'} {other}" for one, other in zip(first, second, strict=False)]
        hint = "docker gives layers the time of the build; ENGINE=buildah and ENGINE=podman don't"
        raise DiffersError("\n".join([f"two builds of {wish.target} have different layers:", *pairs, hint]))
    return second


def build_with(engine: Engine, wish: Wish, progress: Progress, *, anew: bool = False) -> Path:
    """As `build`, with an engine that is opened already.

    Args:
        engine: Of `workshop.opened`; `wish.engine` is not looked at.
        wish: What somebody asks for.
        progress: Where the steps are shown.
        anew: Take nothing from earlier builds but the base and downloads, and keep the result apart from theirs.
    """
    base, identity = _base(wish, engine, progress)
    recipe = _recipe(wish, base)
    key = inputs.key(inputs.digest(wish.root), identity, engine.program, repr(replace(recipe, root=Path())))
    folder = workshop.store() / ("second" if anew else "built")
    kept = folder / f"{wish.target}-{key}.tar"
    if identity and kept.exists():
        kept.touch()
        return kept
    workshop.make(recipe, engine, kept, progress, what=f"{wish.target} on {base}", anew=anew)
    _forget_old(folder, wish.target)
    return kept


def _base(wish: Wish, engine: Engine, progress: Progress) -> tuple[str, str]:
    """The base's name in the engine's store, and what tells its content from another's; empty: nothing does."""
    if wish.base not in {"", debian.NAME}:
        return wish.base, ""
    if not wish.base and _pulled(engine, progress):
        return DEFAULT_BASE, ""
    workshop.install(
        "mmdebstrap", progress, otherwise=f"name an image that can be pulled: make image BASE_IMAGE={DEFAULT_BASE}"
    )
    made = debian.provide(workshop.store(), progress, epoch=EPOCH)
    workshop.load(engine, made, progress, what="the base image")
    return debian.NAME, archive.read(made).layers[0]


def _pulled(engine: Engine, progress: Progress) -> bool:
    if steps.answer(engine.show(DEFAULT_BASE), environment=engine.environment) is not None:
        return True
    with progress.step(f"looking for {DEFAULT_BASE}", announce=False):
        found = steps.answer(engine.pull(DEFAULT_BASE), environment=engine.environment, timeout_s=600) is not None
    if not found:
        progress.say(f"  {DEFAULT_BASE} can't be pulled here: Debian's packages do as well")
    return found


def _recipe(wish: Wish, base: str) -> Recipe:
    arguments = {"VERSION": wish.version, "REVISION": wish.revision, "BASE_IMAGE": base}
    if wish.init:
        arguments["INIT_IMAGE"] = wish.init
    return Recipe(
        root=wish.root,
        target=wish.target,
        name=wish.name,
        arguments=arguments,
        epoch=wish.epoch,
        ca=_CA if _CA.is_file() else None,
    )


def _forget_old(folder: Path, target: str) -> None:
    for old in sorted(folder.glob(f"{target}-*.tar"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        old.unlink()


def copy(archived: Path, target: Path) -> None:
    """Put a result where a person looks for it; replaced in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}")
    shutil.copyfile(archived, partial)
    partial.replace(target)
