"""The images as `make image` builds them where no container engine is; kept by their content, so a change alone is paid for."""

from pathlib import Path

from cluster.progress import Progress
from harness import ROOT
from scripts.image import archive, build, debian
from scripts.image.archive import Image
from scripts.image.build import Wish
from scripts.image.project import Project, build_project

__all__ = ["built", "built_project", "wish"]


def wish(target: str) -> Wish:
    """No revision: a commit that changes nothing in the image builds nothing."""
    return Wish(root=ROOT, target=target, name=f"localhost/image-test-{target}:dev", base=debian.NAME, engine="buildah")


def built(target: str) -> Image:
    return archive.read(build.build(wish(target), Progress()))


def built_project(root: Path) -> Image:
    """By its own Dockerfile, on the base as it is built here."""
    project = Project(root=root, name=f"localhost/image-test-{root.name}:dev", runtime=wish("base"))
    return archive.read(build_project(project, Progress()))
