"""Roles and playbooks are found where Operator SDK's runtime finds them, in its order."""

from pathlib import Path

import pytest

from runner.content import SearchPath, known_roles


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / "roles" / "echo").mkdir(parents=True)
    return tmp_path / "project"


def test_role_of_the_project_is_found(project: Path) -> None:
    assert SearchPath(project=project).find_role("echo") == project / "roles" / "echo"


def test_roles_path_comes_before_the_project(project: Path, tmp_path: Path) -> None:
    (tmp_path / "more" / "echo").mkdir(parents=True)
    (tmp_path / "nested" / "roles" / "echo").mkdir(parents=True)
    search = SearchPath.of(project, {"ANSIBLE_ROLES_PATH": f"{tmp_path}/missing:{tmp_path}/nested:{tmp_path}/more"})
    assert search.find_role("echo") == tmp_path / "nested" / "roles" / "echo"


def test_three_dotted_parts_are_a_role_of_a_collection(project: Path, tmp_path: Path) -> None:
    role = tmp_path / "c" / "ansible_collections" / "acme" / "web" / "roles" / "site"
    role.mkdir(parents=True)
    search = SearchPath.of(project, {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "c")})
    assert search.find_role("acme.web.site") == role


def test_the_places_for_roles_are_operator_sdks_in_its_order(project: Path) -> None:
    search = SearchPath.of(project, {"HOME": "/root", "ANSIBLE_ROLES_PATH": "/a:b"})
    inside = Path("ansible_collections/acme/web/roles/site")
    assert search.role_candidates("acme.web.site") == [
        Path("/usr/share/ansible/collections") / inside,
        Path("~/.ansible/collections").expanduser() / inside,
        Path("/a/acme.web.site"),
        Path("/a/roles/acme.web.site"),
        project / "b" / "acme.web.site",
        project / "b" / "roles" / "acme.web.site",
        project / "roles" / "acme.web.site",
    ]
    assert search.role_candidates("a.b")[0] == Path("/a/a.b")


def test_absolute_role_is_taken_as_it_is(project: Path) -> None:
    role = project / "roles" / "echo"
    assert SearchPath(project=project).role_candidates(str(role)) == [role]


def test_missing_role_is_none_and_known_ones_can_be_named(project: Path) -> None:
    search = SearchPath(project=project)
    assert search.find_role("ehco") is None
    assert known_roles(search) == ["echo"]


def test_playbook_is_relative_to_the_project(project: Path, tmp_path: Path) -> None:
    (project / "play.yml").write_text("[]")
    (tmp_path / "elsewhere.yml").write_text("[]")
    search = SearchPath(project=project)
    assert search.find_playbook("play.yml") == project / "play.yml"
    assert search.find_playbook(str(tmp_path / "elsewhere.yml")) == tmp_path / "elsewhere.yml"
    assert search.find_playbook("roles") is None
