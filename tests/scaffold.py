"""Lays out a project as `operator-sdk init --plugins=ansible` and `create api` do (`scaffold_files` has the texts)."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import scaffold_files

__all__ = ["Scaffold"]


@dataclass(frozen=True, slots=True)
class Scaffold:
    """A project in a directory of its own."""

    directory: Path
    project: str
    group: str

    def init(self) -> None:
        """`operator-sdk init --plugins=ansible --domain=example.com`."""
        for name, text in scaffold_files.INIT.items():
            self.write(name, text)
        for file, kind, binding, role in scaffold_files.BINDINGS:
            self.write(f"config/rbac/{file}.yaml", scaffold_files.BINDING.format(kind=kind, binding=binding, role=role))

    def create_api(self, kind: str, *, role: bool = False, playbook: bool = False) -> None:
        """`operator-sdk create api --version=v1alpha1 --kind=KIND [--generate-role] [--generate-playbook]`."""
        lower = kind.lower()
        if role:
            for name, text in scaffold_files.ROLE.items():
                self.write(f"roles/{lower}/{name}", text, kind)
        if playbook:
            tasks = f'\n    - import_role:\n        name: "{lower}"\n' if role else " []\n"
            self.write(f"playbooks/{lower}.yml", dedent(scaffold_files.PLAYBOOK) + tasks)
        content = f"playbook: playbooks/{lower}.yml" if playbook else f"role: {lower}"
        watch = f"- version: v1alpha1\n  group: {self.group}\n  kind: {kind}\n  {content}\n"
        self._insert("watches.yaml", scaffold_files.WATCH_MARK, watch)
        self._insert("config/rbac/role.yaml", scaffold_files.RULES_MARK, self._filled(scaffold_files.RULES, kind))
        self._insert(
            "config/crd/kustomization.yaml", scaffold_files.CRD_MARK, self._filled("- bases/GROUP_PLURAL.yaml\n", kind)
        )
        self.write(self._filled("config/crd/bases/GROUP_PLURAL.yaml", kind), scaffold_files.CRD, kind)
        sample = self._filled("FIRST_v1alpha1_LOWER.yaml", kind)
        self._insert("config/samples/kustomization.yaml", scaffold_files.SAMPLE_MARK, f"- {sample}\n")
        self.write(f"config/samples/{sample}", scaffold_files.SAMPLE, kind)

    def write(self, name: str, text: str, kind: str = "") -> None:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._filled(dedent(text), kind), encoding="utf-8")

    def _insert(self, name: str, mark: str, text: str) -> None:
        path = self.directory / name
        path.write_text(path.read_text(encoding="utf-8").replace(mark, text + mark), encoding="utf-8")

    def _filled(self, text: str, kind: str) -> str:
        names = {
            "PROJECT": self.project,
            "GROUP": self.group,
            "FIRST": self.group.partition(".")[0],
            "PLURAL": f"{kind.lower()}s",
            "LOWER": kind.lower(),
            "KIND": kind,
        }
        for name, value in names.items():
            text = text.replace(name, value)
        return text
