"""Where images are made: the engine, the store that it works in, and the one way that a recipe becomes an archive."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import cache, packages
from cluster.progress import Progress
from scripts.image import engines, steps
from scripts.image.engines import Engine, Recipe
from scripts.image.errors import NoBaseError, NoEngineError

__all__ = ["install", "load", "make", "opened", "store"]

_MOST_BYTES = 6 << 30
"""Of layers that buildah keeps for the next build; then it begins anew."""

_NEEDS = {
    "buildah": packages.Need(
        package="buildah",
        purpose="builds images without a daemon",
        present=lambda: packages.command("buildah") is not None,
    ),
    "mmdebstrap": packages.Need(
        package="mmdebstrap",
        purpose="makes a base image out of Debian's packages",
        present=lambda: packages.command("mmdebstrap") is not None,
    ),
}


def store() -> Path:
    """Where everything is kept between builds: `image` in the project's cache."""
    return cache.root() / "image"


@contextmanager
def opened(wanted: str, progress: Progress) -> Iterator[Engine]:
    """The engine to build with, for nobody else meanwhile; buildah is installed where there is none.

    Args:
        wanted: What the user named. Empty: the first that works.
        progress: Where it is told what is installed.

    Raises:
        NoEngineError: The named one fails here, or there is none and none can be installed.
        cluster.errors.ClusterError: It could not be installed, or the person at the terminal said no.
    """
    with cache.locked(store() / ".lock"):
        yield _engine(wanted, progress)


def _engine(wanted: str, progress: Progress) -> Engine:
    tried = engines.probes()
    name = engines.choose(wanted, lambda one: steps.answer(tried[one]) is not None)
    if name is None:
        if wanted not in {"", "buildah"}:
            raise NoEngineError(
                f"ENGINE={wanted}: {' '.join(tried[wanted])} fails here; leave ENGINE out to use another"
            )
        install("buildah", progress, otherwise="install docker, podman or buildah")
        name = "buildah"
    if name != "buildah":
        return Engine(program=name, environment={"DOCKER_BUILDKIT": "1"} if name == "docker" else {})
    place = store()
    _trim(place / "storage")
    temporary = place / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return engines.buildah(place, driver=_driver(place), temporary=temporary)


def load(engine: Engine, archive: Path, progress: Progress, *, what: str, saved_as: str = "") -> None:
    """Give the engine an image that was made before. `what` names it for a person, `saved_as` as in `Engine.load`.

    Raises:
        errors.StepFailedError: It did not take it.
    """
    steps.run(
        f"loading {what}",
        engine.load(archive, saved_as=saved_as),
        log=store() / "load.log",
        progress=progress,
        environment=engine.environment,
    )


def make(recipe: Recipe, engine: Engine, archive: Path, progress: Progress, *, what: str, anew: bool = False) -> None:
    """Build an image and write it to an archive, which appears when it is complete.

    Args:
        recipe: The image.
        engine: What builds it.
        archive: The file to write.
        progress: Where both steps are shown.
        what: Names the image for a person.
        anew: Take nothing from earlier builds.

    Raises:
        errors.StepFailedError: One of the two failed.
    """
    partial = archive.with_name(f".{archive.name}")
    archive.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    try:
        steps.run(
            f"building {what} {'again, from nothing' if anew else f'with {engine.program}'}",
            engine.build(recipe, anew=anew),
            log=store() / f"{recipe.target or archive.stem}.log",
            progress=progress,
            environment=engine.environment,
            cwd=recipe.root,
        )
        steps.run(
            f"writing {what} to an archive",
            engine.save(recipe.name, partial),
            log=store() / "save.log",
            progress=progress,
            environment=engine.environment,
        )
        partial.replace(archive)
    finally:
        partial.unlink(missing_ok=True)
        if (tidy := engine.tidy()) is not None:
            subprocess.run(tidy, env={**os.environ, **engine.environment}, capture_output=True, check=False)


def install(program: str, progress: Progress, *, otherwise: str) -> None:
    """Have a Debian package of `_NEEDS`; `otherwise` is what else a person could do.

    Raises:
        NoEngineError, NoBaseError: It is missing, and this machine can't have it installed.
        cluster.errors.ClusterError: It could not be installed, or the person at the terminal said no.
    """
    need = _NEEDS[program]
    if need.present():
        return
    os_release = Path("/etc/os-release")
    debian_here = os_release.exists() and packages.is_debian(os_release.read_text(encoding="utf-8"))
    if not debian_here or os.geteuid() != 0:
        error = NoEngineError if program == "buildah" else NoBaseError
        raise error(
            f"{need.package} is not here ({need.purpose}), and only root on Debian can have it installed: {otherwise}"
        )
    lines = [f"This Debian package will be installed and stay: {need.package} ({need.purpose})"]
    packages.ask_leave(lines, progress)
    packages.install([need.package], progress)


def _trim(storage: Path) -> None:
    """Keep the store bounded: each build from nothing adds some 400 MB, and none can tell what is needed again."""
    used = steps.answer(["du", "--summarize", "--block-size=1", str(storage)]) if storage.exists() else None
    if used is not None and int(used.split()[0]) > _MOST_BYTES:
        shutil.rmtree(storage)


def _driver(place: Path) -> str:
    kind = steps.answer(["stat", "--file-system", "--format=%T", str(place)])
    return "vfs" if kind in {"overlayfs", "aufs"} else "overlay"
