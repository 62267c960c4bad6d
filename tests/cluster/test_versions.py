"""The version rules decide whether somebody else's binary is trusted."""

import pytest

from cluster import versions
from cluster.versions import ETCD, HELM, HTTP_ECHO, KUBERNETES, Version

API_SERVER = KUBERNETES.program("kube-apiserver")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Kubernetes v1.34.4", Version(1, 34, 4)),
        ("etcd Version: 3.6.16\nGit SHA: Not provided", Version(3, 6, 16)),
        ("Client Version: v1.34.4\nKustomize Version: v5.7.1", Version(1, 34, 4)),
        ("1.34", Version(1, 34, 0)),
        ("flag provided but not defined", None),
    ],
)
def test_parse_version_reads_what_the_programs_print(text: str, expected: Version | None) -> None:
    assert versions.parse_version(text) == expected


@pytest.mark.parametrize(
    ("found", "fits"),
    [
        (Version(1, 34, 0), True),
        (Version(1, 34, 99), True),
        (Version(1, 33, 4), False),
        (Version(1, 35, 0), False),
        (Version(2, 34, 4), False),
    ],
)
def test_a_kubernetes_program_fits_with_the_same_minor_only(found: Version, fits: bool) -> None:
    assert API_SERVER.fits(found) is fits


@pytest.mark.parametrize(
    ("found", "fits"),
    [(Version(3, 5, 13), True), (Version(3, 6, 0), True), (Version(3, 5, 12), False), (Version(3, 4, 23), False)],
)
def test_etcd_fits_from_the_first_version_with_ordered_progress(found: Version, fits: bool) -> None:
    assert ETCD.fits(found) is fits


@pytest.mark.parametrize(
    ("found", "fits"),
    [(Version(3, 19, 0), True), (Version(3, 22, 0), True), (Version(3, 18, 6), False), (Version(4, 0, 0), False)],
)
def test_helm_fits_within_its_major(found: Version, fits: bool) -> None:
    """A new major changes what its commands do."""
    assert HELM.fits(found) is fits


def test_versions_compare_by_number_and_not_by_text() -> None:
    assert Version(1, 9, 0) < Version(1, 10, 0)


def test_ldflags_name_the_version_for_servers_and_clients() -> None:
    """Without them a server calls itself v0.0.0 and clients warn."""
    flags = versions.kubernetes_ldflags(Version(1, 34, 4))
    assert "-X k8s.io/component-base/version.gitVersion=v1.34.4" in flags
    assert "-X k8s.io/client-go/pkg/version.gitVersion=v1.34.4" in flags
    assert "-X k8s.io/component-base/version.gitMinor=34" in flags


def test_helm_is_told_its_version_and_the_clusters() -> None:
    """Without them it calls itself v3.21 and renders for Kubernetes 1.20."""
    flags = versions.helm_ldflags(Version(3, 21, 4), Version(1, 34, 4))
    assert "-X helm.sh/helm/v3/internal/version.version=v3.21.4" in flags
    assert "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34" in flags


def test_helm_leaves_the_names_of_the_other_binaries_as_they_are() -> None:
    """They are found by what their own module holds; with another one in it, all would be built anew."""
    others = [program for program in versions.all_programs() if program is not HELM]
    assert HELM.module.directory not in {program.module.directory for program in others}


def test_go_mod_pins_the_version_that_the_constants_name() -> None:
    """The version is said in two places; this keeps them together."""
    kubernetes = (KUBERNETES.directory / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{KUBERNETES.version}" in kubernetes
    staging = f"k8s.io/client-go => k8s.io/client-go v0.{KUBERNETES.version.minor}.{KUBERNETES.version.patch}"
    assert staging in kubernetes
    assert f"go.etcd.io/etcd/server/v3 v{ETCD.module.version}" in (ETCD.module.directory / "go.mod").read_text()
    assert f"helm.sh/helm/v3 v{HELM.module.version} " in (HELM.module.directory / "go.mod").read_text()
    assert f"{HTTP_ECHO.package} v{HTTP_ECHO.module.version} " in (HTTP_ECHO.module.directory / "go.mod").read_text()
    assert HTTP_ECHO.module.ldflags.endswith(f".Version={HTTP_ECHO.module.version}")


def test_every_kubernetes_program_is_a_tool_of_its_module() -> None:
    """`go mod tidy` would drop what no tool line asks for."""
    go_mod = (KUBERNETES.directory / "go.mod").read_text()
    for program in (*versions.control_plane_programs()[1:], *versions.node_programs()[:-1]):
        assert f"\t{program.package}\n" in go_mod
