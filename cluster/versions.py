"""Which programs the embedded cluster consists of, in which versions, and whether a found binary fits.

The one place that names versions. A further Kubernetes minor is a further `KubernetesRelease` with a directory
of its own that holds its `go.mod` and `go.sum`. Pure: starts nothing and reads no file.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A release number; compares in the natural order."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def parse_version(text: str) -> Version | None:
    """The first `X.Y` or `X.Y.Z` in a program's `--version` output.

    Returns:
        `None`: there is no version in it.
    """
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        return None
    return Version(int(found[1]), int(found[2]), int(found[3] or 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A directory with a `go.mod` and the linker settings its programs are built with."""

    directory: Path
    version: Version
    ldflags: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One binary: its name, the Go package it is built from, and how it is asked for its version."""

    name: str
    package: str
    module: Module
    version_arguments: tuple[str, ...] = ("--version",)
    oldest: Version | None = None
    """The oldest version of the module's major that will do. `None`: the module's own minor, any patch."""

    def fits(self, found: Version) -> bool:
        """Say whether a binary of version `found`, built by somebody else, can take this one's place."""
        wanted = self.module.version
        if self.oldest is not None:
            return found >= self.oldest and found.major == wanted.major
        return (found.major, found.minor) == (wanted.major, wanted.minor)

    @property
    def wanted(self) -> str:
        """What `fits` accepts, for messages."""
        if self.oldest is not None:
            return f">= {self.oldest}, < {self.module.version.major + 1}"
        return f"{self.module.version.major}.{self.module.version.minor}.x"


def kubernetes_ldflags(version: Version) -> str:
    """The linker flags that tell a Kubernetes program its own version.

    Without them it calls itself v0.0.0, and clients warn.
    """
    settings = {"gitVersion": f"v{version}", "gitMajor": version.major, "gitMinor": version.minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(
        ["-s", "-w"] + [f"-X {package}.{name}={value}" for package in packages for name, value in settings.items()]
    )


def helm_ldflags(version: Version, kubernetes: Version) -> str:
    """The linker flags that tell helm its own version, and which Kubernetes it renders for where it asks none.

    Without the latter that is 1.20, and charts which want a newer one are refused.
    """
    settings = {"helm.sh/helm/v3/internal/version.version": f"v{version}"}
    for package in ("pkg/lint/rules", "pkg/chartutil"):
        settings[f"helm.sh/helm/v3/{package}.k8sVersionMajor"] = str(kubernetes.major)
        settings[f"helm.sh/helm/v3/{package}.k8sVersionMinor"] = str(kubernetes.minor)
    return " ".join(["-s", "-w"] + [f"-X {name}={value}" for name, value in settings.items()])


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesRelease:
    """A Kubernetes minor the cluster can be built from."""

    version: Version
    directory: Path

    @property
    def module(self) -> Module:
        return Module(directory=self.directory, version=self.version, ldflags=kubernetes_ldflags(self.version))

    def program(self, name: str) -> Program:
        return Program(
            name=name,
            package=f"k8s.io/kubernetes/cmd/{name}",
            module=self.module,
            version_arguments=("version", "--client") if name == "kubectl" else ("--version",),
        )


KUBERNETES = KubernetesRelease(version=Version(1, 34, 4), directory=_HERE)
"""The release the suite runs on: the last whose kubelet accepts a cgroup v1 machine."""

KUBERNETES_RELEASES: dict[str, KubernetesRelease] = {
    f"{release.version.major}.{release.version.minor}": release for release in (KUBERNETES,)
}
"""All releases that can be built, by minor."""

ETCD = Program(
    name="etcd",
    package="go.etcd.io/etcd/server/v3",
    module=Module(directory=_HERE / "etcd", version=Version(3, 6, 16), ldflags="-s -w"),
    # Older ones lack the progress notification in order that the API server's consistent cache reads rely on.
    oldest=Version(3, 5, 13),
)

HELM = Program(
    name="helm",
    package="helm.sh/helm/v3/cmd/helm",
    module=Module(
        directory=_HERE / "helm", version=Version(3, 21, 4), ldflags=helm_ldflags(Version(3, 21, 4), KUBERNETES.version)
    ),
    version_arguments=("version", "--short"),
    # The first that is made for Kubernetes 1.34.
    oldest=Version(3, 19, 0),
)
"""A client that roles use; the cluster itself runs without it."""

HTTP_ECHO = Program(
    name="http-echo",
    package="github.com/hashicorp/http-echo",
    module=Module(
        directory=_HERE / "http-echo",
        version=Version(1, 0, 0),
        ldflags="-s -w -X github.com/hashicorp/http-echo/version.Version=1.0.0",
    ),
)
"""A server that answers with one text, for the Pods of an example."""

PAUSE = Program(
    name="pause",
    package="echoperator/cluster/pause",
    module=Module(directory=_HERE / "pause", version=Version(1, 0, 0), ldflags="-s -w"),
)
"""The process that holds a Pod's namespaces open. Ours, so it is never looked for elsewhere."""

BAKED = (PAUSE, HTTP_ECHO)
"""Programs that are put into images. Somebody else's may need libraries that are not there, so none is looked for."""

TESTING_PROGRAMS = ("kube-apiserver", "kube-controller-manager")
CONTROL_PLANE_PROGRAMS = (*TESTING_PROGRAMS, "kubectl", "kube-scheduler")
NODE_PROGRAMS = ("kubelet", "kube-proxy")


def control_plane_programs(release: KubernetesRelease = KUBERNETES) -> tuple[Program, ...]:
    return (ETCD, *(release.program(name) for name in CONTROL_PLANE_PROGRAMS))


def node_programs(release: KubernetesRelease = KUBERNETES) -> tuple[Program, ...]:
    return (*(release.program(name) for name in NODE_PROGRAMS), PAUSE)


def all_programs(release: KubernetesRelease = KUBERNETES) -> tuple[Program, ...]:
    """Everything that can be built, with what only roles and examples use."""
    return (*control_plane_programs(release), *node_programs(release), HELM, HTTP_ECHO)
