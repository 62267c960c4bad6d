"""What the parts of each kind are called."""

from runner.content import Content
from runner.objects import GroupVersionKind
from runner.watches import Watch
from runner.wiring.kinds import controller_names


def test_kinds_of_one_name_and_version_have_controllers_of_different_names() -> None:
    """The Go runtime refuses to start there; names are otherwise those of its metrics."""
    kinds = [GroupVersionKind(group, "v1", "Backup") for group in ("a.io", "b.io")]
    names = controller_names([Watch(gvk=gvk, content=Content()) for gvk in kinds])
    assert [names[gvk] for gvk in kinds] == ["backup-v1-controller", "backup-v1-controller.b.io"]
