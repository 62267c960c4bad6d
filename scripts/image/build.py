"""Builds an image with whatever the machine has, and keeps the result by the content it was made of.

The engine is docker, podman or buildah, in this order; buildah is installed where none is and root may. The base is
what the Dockerfile names where that can be pulled, else it is made out of Debian's packages.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from cluster import cache, packages
from cluster.progress import Progress
from scripts.image import archive, debian, engines, inputs, steps
from scripts.image.engines import Engine, Request
from scripts.image.errors import DiffersError, NoBaseError, NoEngineError

__all__ = ["DEFAULT_BASE", "EPOCH", "Wish", "again", "build", "store"]

DEFAULT_BASE = "docker.io/library/python:3.13-slim"
"""As in the Dockerfile."""
EPOCH = 315532800
"""1980-01-01: the earliest time that a zip archive can hold, and Ansible sends its modules in those. A constant, so
that layers change when their content does, and not with each commit."""
_KEPT = 4
"""Results kept of each target; older ones are removed."""
_MOST_BYTES = 6 << 30
"""Of layers that buildah keeps for the next build; then it begins anew."""
_CA = Path("/etc/ssl/certs/ca-certificates.crt")

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


def store() -> Path:
    """Where everything is kept between builds: `image` in the project's cache."""
    return cache.root() / "image"


def build(wish: Wish, progress: Progress) -> Path:
    """Build an image, or find that it has been built.

    Returns:
        Its archive, in the cache.

    Raises:
        errors.ImageError: The image could not be built; says why.
        cluster.errors.ClusterError: A package could not be installed, or the person at the terminal said no.
    """
    return _build(wish, progress, anew=False)


def again(wish: Wish, progress: Progress) -> tuple[str, ...]:
    """Build an image a second time, taking nothing from the first but the base and downloads.

    Returns:
        The digests of its layers, equal to those of `build`.

    Raises:
        errors.DiffersError: They are not equal.
        errors.ImageError: As `build`.
    """
    first = archive.read(_build(wish, progress, anew=False)).layers
    second = archive.read(_build(wish, progress, anew=True)).layers
    if first != second:
        pairs = [f"  {one} {'=' if one == other else '≠'} {other}" for one, other in zip(first, second, strict=False)]
        hint = "docker gives layers the time of the build; ENGINE=buildah and ENGINE=podman don't"
        raise DiffersError("\n".join([f"two builds of {wish.target} have different layers:", *pairs, hint]))
    return second


def _build(wish: Wish, progress: Progress, *, anew: bool) -> Path:
    place = store()
    with cache.locked(place / ".lock"):
        engine = _engine(wish.engine, place, progress)
        base, identity = _base(wish, engine, place, progress)
        request = _request(wish, base)
        key = inputs.key(inputs.digest(wish.root), identity, engine.program, repr(replace(request, root=Path())))
        folder = place / ("second" if anew else "built")
        kept = folder / f"{wish.target}-{key}.tar"
        if identity and kept.exists():
            kept.touch()
            return kept
        folder.mkdir(parents=True, exist_ok=True)
        _make(request, engine, kept, place, progress, anew=anew)
        _forget_old(folder, wish.target)
        return kept


def _make(request: Request, engine: Engine, kept: Path, place: Path, progress: Progress, *, anew: bool) -> None:
    partial = kept.with_name(f".{kept.name}")
    partial.unlink(missing_ok=True)
    word = "again, from nothing" if anew else f"on {request.base}, with {engine.program}"
    try:
        steps.run(
            f"building {request.target} {word}",
            engine.build(request, anew=anew),
            log=place / f"{request.target}.log",
            progress=progress,
            environment=engine.environment,
            cwd=request.root,
        )
        steps.run(
            f"writing {request.target} to an archive",
            engine.save(request.name, partial),
            log=place / "save.log",
            progress=progress,
            environment=engine.environment,
        )
        partial.replace(kept)
    finally:
        partial.unlink(missing_ok=True)
        if (tidy := engine.tidy()) is not None:
            subprocess.run(tidy, env={**os.environ, **engine.environment}, capture_output=True, check=False)


def _engine(wanted: str, place: Path, progress: Progress) -> Engine:
    tried = engines.probes()
    name = engines.choose(wanted, lambda one: steps.answer(tried[one]) is not None)
    if name is None:
        if wanted not in {"", "buildah"}:
            raise NoEngineError(
                f"ENGINE={wanted}: {' '.join(tried[wanted])} fails here; leave ENGINE out to use another"
            )
        _install("buildah", progress, otherwise="install docker, podman or buildah")
        name = "buildah"
    if name != "buildah":
        return Engine(program=name, environment={"DOCKER_BUILDKIT": "1"} if name == "docker" else {})
    _trim(place / "storage")
    temporary = place / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return engines.buildah(place, driver=_driver(place), temporary=temporary)


def _trim(storage: Path) -> None:
    """Keep the store bounded: each build from nothing adds some 400 MB, and none can tell what is needed again."""
    used = steps.answer(["du", "--summarize", "--block-size=1", str(storage)]) if storage.exists() else None
    if used is not None and int(used.split()[0]) > _MOST_BYTES:
        shutil.rmtree(storage)


def _driver(place: Path) -> str:
    kind = steps.answer(["stat", "--file-system", "--format=%T", str(place)])
    return "vfs" if kind in {"overlayfs", "aufs"} else "overlay"


def _base(wish: Wish, engine: Engine, place: Path, progress: Progress) -> tuple[str, str]:
    """The base's name in the engine's store, and what tells its content from another's; empty: nothing does."""
    if wish.base not in {"", debian.NAME}:
        return wish.base, ""
    if not wish.base and _pulled(engine, progress):
        return DEFAULT_BASE, ""
    _install(
        "mmdebstrap", progress, otherwise=f"name an image that can be pulled: make image BASE_IMAGE={DEFAULT_BASE}"
    )
    made = debian.provide(place, progress, epoch=EPOCH)
    steps.run(
        "loading the base image",
        engine.load(made),
        log=place / "load.log",
        progress=progress,
        environment=engine.environment,
    )
    return debian.NAME, archive.read(made).layers[0]


def _pulled(engine: Engine, progress: Progress) -> bool:
    if steps.answer(engine.show(DEFAULT_BASE), environment=engine.environment) is not None:
        return True
    with progress.step(f"looking for {DEFAULT_BASE}", announce=False):
        found = steps.answer(engine.pull(DEFAULT_BASE), environment=engine.environment, timeout_s=600) is not None
    if not found:
        progress.say(f"  {DEFAULT_BASE} can't be pulled here: Debian's packages do as well")
    return found


def _install(program: str, progress: Progress, *, otherwise: str) -> None:
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


def _request(wish: Wish, base: str) -> Request:
    return Request(
        root=wish.root,
        target=wish.target,
        name=wish.name,
        base=base,
        init=wish.init or None,
        version=wish.version,
        revision=wish.revision,
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
