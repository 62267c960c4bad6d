"""A kind cluster of this project: made, found, given images, deleted. kind itself does the work.

A cluster's kubeconfig and what is known of it stand in a directory of its own; no other kubeconfig is written.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.kind import engine, steps
from cluster.kind.engine import Engine
from cluster.kind.errors import StepFailedError
from cluster.progress import Progress

_READY_TIMEOUT = "180s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a cluster's files are. The directory's name is none that an embedded cluster can have."""

    root: Path
    name: str

    @property
    def directory(self) -> Path:
        return (self.root / "_kind" / self.name).resolve()

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "kubeconfig"

    @property
    def facts(self) -> Path:
        return self.directory / "facts.json"

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """kind, and the engine it works with."""

    program: Path
    engine: Engine

    def names(self) -> list[str]:
        """The clusters that the engine has, whoever made them.

        Raises:
            StepFailedError: The engine does not say.
        """
        said = steps.answer([str(self.program), "get", "clusters", "--quiet"], added=self._environment)
        if said is None:
            raise StepFailedError("kind get clusters", "")
        return said.split()

    def create(self, place: Place, image: str, config: Path | None, progress: Progress) -> None:
        """Make a cluster; returns when its nodes are Ready.

        Raises:
            StepFailedError: kind could not; it has removed the nodes again.
        """
        place.directory.mkdir(parents=True, exist_ok=True)
        # With the first cluster, kind makes the network of its nodes, and never removes it.
        shared = self.engine.answer("network", "inspect", engine.NETWORK) is not None
        noted = {"ownEngine": self.engine.ours, "networkWasThere": shared, "image": image}
        place.facts.write_text(json.dumps(noted))
        arguments = ["--name", place.name, "--image", image, "--kubeconfig", str(place.kubeconfig)]
        if config is not None:
            arguments += ["--config", str(config.resolve())]
        self._run(
            f'cluster "{place.name}" of {image}', ["create", "cluster", *arguments, "--wait", _READY_TIMEOUT], progress
        )

    def load(self, name: str, image: str, progress: Progress) -> None:
        """Give the nodes of the cluster `name` an image: an archive, if `image` is a file, else one of the engine's.

        Raises:
            StepFailedError: kind could not.
        """
        archive = Path(image).is_file()
        what = ["image-archive", str(Path(image).resolve())] if archive else ["docker-image", image]
        self._run(
            f"loading {Path(image).name if archive else image}",
            ["load", *what, "--name", name],
            progress,
            announce=False,
        )

    def delete(self, place: Place) -> bool:
        """Delete a cluster with its files, and the nodes' network if it came with it; says whether there was one."""
        known = facts(place)
        existed = place.name in self.names()
        if existed or known is not None:
            arguments = ["delete", "cluster", "--name", place.name, "--kubeconfig", str(place.kubeconfig)]
            steps.answer([str(self.program), *arguments], added=self._environment, timeout_s=120.0)
        if known is not None and not known["networkWasThere"] and not self.engine.ours and not self.names():
            self.engine.answer("network", "rm", engine.NETWORK)
        place.remove()
        return existed

    @property
    def _environment(self) -> dict[str, str]:
        return {**self.engine.environment, "KIND_EXPERIMENTAL_PROVIDER": "docker"}

    def _run(self, text: str, arguments: list[str], progress: Progress, *, announce: bool = True) -> None:
        steps.run(text, [str(self.program), *arguments], progress, added=self._environment, announce=announce)


def facts(place: Place) -> dict[str, Any] | None:
    """What was noted when the cluster was made.

    Returns:
        `None`: this project has made none here.
    """
    try:
        noted: dict[str, Any] = json.loads(place.facts.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return noted


def in_docker(place: Place) -> bool:
    """Say whether this project has made the cluster, in the machine's own docker."""
    noted = facts(place)
    return noted is not None and not noted["ownEngine"]
