"""The programs that build images, and how each is told the same thing (pure but for `find`).

buildah runs steps in a chroot and keeps its store in our cache, so it needs no daemon, no container and no registry.
docker and podman keep what they build in their own store too, under the image's name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["NAMES", "Engine", "Recipe", "buildah", "choose", "probes"]

NAMES = ("docker", "podman", "buildah")
"""In the order in which they are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image to build."""

    root: Path
    """Where its Dockerfile is, and all that it may see."""
    target: str = ""
    """A stage of the Dockerfile. Empty: the last."""
    name: str
    """The image's name with its tag."""
    arguments: Mapping[str, str]
    """The Dockerfile's `ARG`s."""
    epoch: int
    """The time that files have, and that the image says it was made at, in seconds since 1970."""
    ca: Path | None = None
    """Certificates to trust during the build, beside the base's own. `None`: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One way to build."""

    program: str
    options: tuple[str, ...] = ()
    """What goes between the program and its subcommand."""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def keeps_times(self) -> bool:
        """Whether a build's layers get the time of the request, so that two builds are equal. docker's don't."""
        return self.program != "docker"

    @property
    def own_store(self) -> bool:
        """Whether what it builds is nowhere but in the archive, for a person."""
        return self.program == "buildah"

    def build(self, recipe: Recipe, *, anew: bool = False) -> list[str]:
        """The command that builds an image, to be run in `recipe.root`.

        Args:
            recipe: Which one.
            anew: Take nothing from earlier builds.
        """
        arguments = dict(recipe.arguments)
        command = [self.program, *self.options, "build"]
        if self.program == "buildah":
            command += ["--isolation", "chroot"]
        if self.keeps_times:
            command += ["--layers", "--timestamp", str(recipe.epoch)]
        else:
            arguments["SOURCE_DATE_EPOCH"] = str(recipe.epoch)
        if anew:
            command.append("--no-cache")
        if recipe.ca is not None:
            command += ["--secret", f"id=ca,src={recipe.ca}"]
        for name, value in arguments.items():
            command += ["--build-arg", f"{name}={value}"]
        if recipe.target:
            command += ["--target", recipe.target]
        return [*command, "--tag", recipe.name, "--file", "Dockerfile", "."]

    def save(self, name: str, archive: Path) -> list[str]:
        """The command that writes an image to an archive that is not there yet."""
        if self.program == "docker":
            return ["docker", "save", "--output", str(archive), name]
        if self.program == "podman":
            return ["podman", "save", "--format", "oci-archive", "--output", str(archive), name]
        return [self.program, *self.options, "push", "--quiet", name, f"oci-archive:{archive}:{name}"]

    def load(self, archive: Path, *, saved_as: str = "") -> list[str]:
        """The command that takes in an archive.

        Args:
            archive: A docker-archive, or what the command of `save` has written.
            saved_as: The name that it was saved under. Empty: it is a docker-archive.
        """
        if self.program == "buildah":
            source = f"oci-archive:{archive}:{saved_as}" if saved_as else f"docker-archive:{archive}"
            return [self.program, *self.options, "pull", "--quiet", source]
        return [self.program, "load", "--input", str(archive)]

    def pull(self, name: str) -> list[str]:
        """The command that fetches an image from its registry."""
        return [self.program, *self.options, "pull", name]

    def show(self, name: str) -> list[str]:
        """The command that succeeds if an image is in the store."""
        if self.program == "docker":
            return ["docker", "image", "inspect", "--format", "{{.Id}}", name]
        return [self.program, *self.options, "inspect", "--type", "image", "--format", "{{.}}", name]

    def tidy(self) -> list[str] | None:
        """The command that removes the half-made container of a build that failed.

        Returns:
            `None`: the engine does so itself.
        """
        return [self.program, *self.options, "rm", "--all"] if self.own_store else None


def buildah(place: Path, *, driver: str, temporary: Path) -> Engine:
    """Make buildah work in a store of our own.

    Args:
        place: Where the store is; made if it is missing, and all of it may be removed.
        driver: `overlay`, or `vfs` where the file system below is itself an overlay.
        temporary: Where caches of package managers are kept.
    """
    options = ["--root", str(place / "storage"), "--runroot", str(place / "run"), "--storage-driver", driver]
    if driver == "overlay":
        # Without it a mount of the store onto itself stays behind.
        options += ["--storage-opt", "skip_mount_home=true"]
    return Engine(program="buildah", options=tuple(options), environment={"TMPDIR": str(temporary)})


def probes() -> dict[str, Sequence[str]]:
    """For each engine, the command that succeeds where it works: a client without its daemon does not."""
    return {
        "docker": ("docker", "version", "--format", "{{.Server.Version}}"),
        "podman": ("podman", "info", "--format", "{{.Version.Version}}"),
        "buildah": ("buildah", "--version"),
    }


def choose(wanted: str, works: Callable[[str], bool]) -> str | None:
    """The engine to build with.

    Args:
        wanted: What the user named; empty: any.
        works: Says whether an engine works here.

    Returns:
        `None`: none works.
    """
    return next((name for name in ([wanted] if wanted else NAMES) if works(name)), None)
