"""The images of a node's Pods: each a program from its Go module in an image of its own, under the name it is asked by.

kubeadm asks for them by the names of the project that publishes them. What is under these names on our node is built
here from the same sources, with one difference that is no secret: etcd is the version of the embedded cluster.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import images
from cluster.images import Entry
from cluster.kind import nodefiles, programs

_PATH = "PATH=/usr/local/bin:/usr/sbin:/usr/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """An image: its name, the program in it, and what the program is started by."""

    image: str
    program: str
    place: str
    """Where the program is in the image."""
    entrypoint: tuple[str, ...] = ()
    files: tuple[Entry, ...] = ()


def components(names: Mapping[str, str], proxy_files: Sequence[Entry]) -> list[Component]:
    """All that are made of a program.

    Args:
        names: Which image kubeadm wants for which program.
        proxy_files: What kube-proxy needs beside itself.
    """
    found = [
        Component(image=names[program], program=program, place=f"usr/local/bin/{program}")
        for program in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
    ]
    return [
        *found,
        Component(
            image=names["kube-proxy"],
            program="kube-proxy",
            place="usr/local/bin/kube-proxy",
            files=tuple(proxy_files),
        ),
        Component(image=names["coredns"], program="coredns", place="coredns", entrypoint=("/coredns",)),
        Component(image=names["pause"], program="pause", place="pause", entrypoint=("/pause",)),
        Component(
            image=nodefiles.PROVISIONER_IMAGE,
            program=programs.PROVISIONER.name,
            place=f"usr/local/bin/{programs.PROVISIONER.name}",
        ),
    ]


def write(directory: Path, wanted: Sequence[Component], binaries: Mapping[str, Path]) -> Iterator[Path]:
    """Write each image as a docker-archive, one after the other, the helper of the default storage class last.

    Raises:
        errors.NoBusyboxError: There is no shell for the helper.
    """
    for component in wanted:
        content = binaries[component.program].read_bytes()
        settings = {"Env": [_PATH], "Entrypoint": list(component.entrypoint) or None}
        tar = directory / f"{component.program}.tar"
        parents = _parents(component.place, {entry.path for entry in component.files})
        images.archive(
            tar, component.image, [*component.files, *parents, Entry(path=component.place, content=content)], settings
        )
        yield tar
    yield images.build_busybox(directory / "helper.tar", name=nodefiles.HELPER_IMAGE)


def _parents(place: str, there: set[str]) -> list[Entry]:
    above = [str(parent) for parent in reversed(Path(place).parents) if str(parent) != "."]
    return [Entry(path=path, directory=True) for path in above if path not in there]
