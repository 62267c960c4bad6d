"""Which role or playbook a watch runs, found on disk the way Operator SDK's runtime finds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Content", "SearchPath", "known_roles"]

_FQCN_PARTS = 3
_DEFAULT_COLLECTIONS = "/usr/share/ansible/collections:~/.ansible/collections"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What to run: exactly one of `role` and `playbook`, an absolute path."""

    role: Path | None = None
    playbook: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPath:
    """Where names in watches.yaml are looked up."""

    project: Path
    """The operator's working directory."""
    roles: tuple[Path, ...] = ()
    collections: tuple[Path, ...] = ()

    @classmethod
    def of(cls, project: Path, environment: Mapping[str, str]) -> "SearchPath":
        """Read `ANSIBLE_ROLES_PATH` and `ANSIBLE_COLLECTIONS_PATH`."""
        return cls(
            project=project,
            roles=_paths(environment.get("ANSIBLE_ROLES_PATH", ""), project),
            collections=_paths(environment.get("ANSIBLE_COLLECTIONS_PATH") or _DEFAULT_COLLECTIONS, project),
        )

    def role_candidates(self, name: str) -> list[Path]:
        """Every place where the role may be, first hit wins: absolute, collection, roles path, project."""
        if Path(name).is_absolute():
            return [Path(name)]
        candidates: list[Path] = []
        parts = name.split(".")
        if len(parts) == _FQCN_PARTS:
            namespace, collection, role = parts
            inside = Path("ansible_collections", namespace, collection, "roles", role)
            candidates += [base / inside for base in self.collections]
        for base in self.roles:
            candidates += [base / name, base / "roles" / name]
        return [*candidates, self.project / "roles" / name]

    def find_role(self, name: str) -> Path | None:
        return next((path for path in self.role_candidates(name) if path.is_dir()), None)

    def find_playbook(self, name: str) -> Path | None:
        path = self.project / name  # an absolute name replaces the project
        return path if path.is_file() else None


def known_roles(search: SearchPath) -> list[str]:
    """Names a user may have meant, for error messages."""
    bases = [search.project / "roles", *search.roles, *(base / "roles" for base in search.roles)]
    return sorted({entry.name for base in bases if base.is_dir() for entry in base.iterdir() if entry.is_dir()})


def _paths(text: str, project: Path) -> tuple[Path, ...]:
    return tuple(project / Path(part).expanduser() for part in text.split(":") if part)
