"""Builds the image of an operator project: its own Dockerfile, on the runtime's image that is built here."""

import re
from dataclasses import dataclass
from pathlib import Path

from cluster.progress import Progress
from scripts.image import build, workshop
from scripts.image.build import Wish
from scripts.image.engines import Recipe
from scripts.image.errors import NotOnRuntimeError

__all__ = ["Project", "build_project"]

_RUNTIME = re.compile(r"^ARG\s+RUNTIME\b", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What somebody asks for."""

    root: Path
    """Where its Dockerfile is."""
    name: str
    """The image's name with its tag."""
    runtime: Wish
    """What takes the place of `RUNTIME` in its Dockerfile."""

    @property
    def title(self) -> str:
        """The name of its directory."""
        return self.root.resolve().name


def build_project(project: Project, progress: Progress) -> Path:
    """Build an image. The engine's own cache of layers is what makes a second time quick.

    Returns:
        Its archive, in the cache.

    Raises:
        errors.NotOnRuntimeError: There is no Dockerfile, or it can't be told what to build on.
        errors.ImageError: The image, or the runtime's, could not be built; says why.
        cluster.errors.ClusterError: As `build.build`.
    """
    _demand_runtime(project.root / "Dockerfile")
    archived = workshop.store() / "projects" / f"{project.title}.tar"
    with workshop.opened(project.runtime.engine, progress) as engine:
        runtime = build.build_with(engine, project.runtime, progress)
        # The store may have been emptied, or have another build under this name, since the archive was written.
        workshop.load(engine, runtime, progress, what="the runtime's image", saved_as=project.runtime.name)
        recipe = Recipe(
            root=project.root,
            name=project.name,
            arguments={"RUNTIME": project.runtime.name},
            epoch=project.runtime.epoch,
        )
        workshop.make(recipe, engine, archived, progress, what=project.title)
    return archived


def _demand_runtime(dockerfile: Path) -> None:
    try:
        text = dockerfile.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotOnRuntimeError(f"{dockerfile}: no such file") from error
    if not _RUNTIME.search(text):
        raise NotOnRuntimeError(
            f"{dockerfile}: it does not say what it is built on by `ARG RUNTIME=...` and `FROM ${{RUNTIME}}`, "
            "so it can't be given the runtime that is built here"
        )
