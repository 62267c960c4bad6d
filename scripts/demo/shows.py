"""What a demo is made of: which operator, and step by step what is shown of it. Data; `story` tells it."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.demo.targets import ROOT, Target

__all__ = ["Await", "Do", "Gone", "Needs", "Objects", "Output", "Owners", "Repair", "Show", "Step", "status"]


class Needs(enum.Enum):
    """Without which a step is left out."""

    NOTHING = enum.auto()
    NODE = enum.auto()
    """Pods that run."""
    NO_REGISTRY = enum.auto()
    """The target's own image, because none can be pulled: for what stands in for the real one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Await:
    """Wait for an object, or for what it says."""

    what: str
    kind: str
    name: str
    until: Callable[[dict[str, Any]], bool] = bool
    """Looks at the object, an empty mapping while there is none."""
    needs: Needs = Needs.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Run kubectl and show what it prints, which is what the whole thing is about."""

    title: str
    arguments: tuple[str, ...]
    expected: str | None = None
    """What it has to print, byte for byte. `None`: anything."""
    needs: Needs = Needs.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Do:
    """Run kubectl to change something."""

    title: str
    arguments: tuple[str, ...]
    needs: Needs = Needs.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Delete a child, and wait until the operator has made it again."""

    kind: str
    name: str
    needs: Needs = Needs.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Wait until an object is no more."""

    kind: str
    name: str
    needs: Needs = Needs.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Show objects as `kubectl get` lists them."""

    title: str
    kinds: str
    """As kubectl takes them, with commas between."""
    conditions_of: tuple[str, str] | None = None
    """Kind and name of the one whose conditions are shown too."""
    needs: Needs = Needs.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """Show what belongs to what, as a tree."""

    kinds: str
    """Of the children, as kubectl takes them."""
    of: tuple[tuple[str, str], ...]
    """Kind, as kubectl takes it, and name of each tree's root."""
    needs: Needs = Needs.NOTHING


Step = Await | Output | Do | Repair | Gone | Objects | Owners


def _nothing(_target: Target, _scratch: Path) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """An operator and what is shown of it."""

    name: str
    project: Path
    """The directory that the operator runs in, with its `config/crd` and `config/samples`."""
    crds: tuple[str, ...]
    """Names of its definitions, `<plural>.<group>`."""
    steps: tuple[Step, ...]
    """What is shown once operator and samples are there; each waits for what it needs."""
    images: tuple[str, ...] = ()
    """Environment variables of the operator that override its images, for a cluster that can't pull any."""
    arguments: tuple[str, ...] = ()
    """Of the operator, besides `--strict` and what is the same for all."""
    prepare: Callable[[Target, Path], Mapping[str, str]] = field(default=_nothing)
    """Runs before anything is applied, with a directory for files of its own that goes at the end. Gives the target's
    node an image, say. Returns further environment variables of the operator."""
    samples: str = "the samples"
    namespace: str = ""
    """Where the samples go. Empty: a namespace of the show's own, in which alone the operator works."""
    stays: bool = False
    """Whether definitions and samples stay on a cluster that was up before."""

    @classmethod
    def example(cls, name: str, **settings: Any) -> "Show":
        """The show of `examples/<name>`."""
        return cls(name=name, project=ROOT / "examples" / name, **settings)

    @property
    def own_namespace(self) -> str:
        """The namespace that is made for the show. Empty: it has none."""
        return "" if self.namespace else f"demo-{self.name}"


def status(**wanted: Any) -> Callable[[dict[str, Any]], bool]:
    """Tell of an object whether its status has these values."""
    return lambda obj: wanted.items() <= (obj.get("status") or {}).items()
