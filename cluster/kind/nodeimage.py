"""Makes the image of a kind node, and keeps it by what goes into it. Needs root on Debian, and no container engine.

The result is a docker-archive of one layer: Debian, kind's own files, Kubernetes and all images that a cluster needs
to come up. Newer Debian packages alone make no new one: remove the cache's `kind` directory for that.
"""

import hashlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from cluster import cache, versions
from cluster.kind import base, components, preload, programs, rootfs, steps
from cluster.progress import Progress

_SOURCES = ("base.py", "components.py", "nodefiles.py", "nodeimage.py", "preload.py", "rootfs.py")
_CONFIG = {
    "Env": ["container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
    "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
    "StopSignal": "SIGRTMIN+3",
}
_EXCLUDED = ("./dev/*", "./tmp/*", "./run/*", "./sys/*", "./proc/*")


def key() -> str:
    """Name a node image by its inputs: the programs' modules, Debian's packages, kind's files, and this recipe."""
    here = Path(__file__).resolve().parent
    modules = {program.module.directory: program.module for program in programs.ALL}
    parts = [base.key(), *sorted(cache.module_key(module) for module in modules.values())]
    digest = hashlib.sha256("\0".join(parts).encode())
    for name in (*(here / source for source in _SOURCES), here.parent / "images.py"):
        digest.update(name.read_bytes())
    return digest.hexdigest()[:12]


def name() -> str:
    """The image's name; never kind's own, for it is not that image."""
    return f"localhost/echoperator/kind-node:v{versions.KUBERNETES.version}-{key()}"


def provide(progress: Progress) -> Path:
    """The image as a docker-archive, built if it is missing.

    Raises:
        errors.BuildFailedError: Go could not build a program.
        StepFailedError: Debian's packages could not be had, or a step failed.
    """
    kept = cache.root() / "kind" / f"node-{key()}.tar"
    binaries = {} if kept.exists() else programs.provide(programs.ALL, progress)
    with cache.locked(kept.parent / ".node-lock"):
        if not kept.exists():
            progress.say(f"Building the node image {name()}")
            for left in kept.parent.glob(".node-*/"):  # by a build that was killed: we hold its lock
                shutil.rmtree(left, ignore_errors=True)
            debian, source = base.provide(progress), programs.kind_source(progress)
            with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".node-") as place:
                root = Path(place) / "root"
                layer = _layer(root, debian, source, binaries, progress)
                with progress.step("the image's archive", announce=False):
                    write_archive(kept.with_name(f".{kept.name}"), layer)
                kept.with_name(f".{kept.name}").replace(kept)
            progress.say(f"Built {name()} ({kept.stat().st_size / 1e6:.0f} MB); kept in {kept}")
    return kept


def write_archive(target: Path, layer: Path) -> None:
    """Write a docker-archive of one layer, which may be large."""
    with layer.open("rb") as content:
        layer_digest = hashlib.file_digest(content, "sha256").hexdigest()
    config = json.dumps(
        {
            "architecture": cache.build_environment()["GOARCH"],
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": _CONFIG,
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        }
    ).encode()
    config_name, layer_name = f"{hashlib.sha256(config).hexdigest()}.json", f"{layer_digest}/layer.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name()], "Layers": [layer_name]}]).encode()
    with tarfile.open(target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, text in ((config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(text)
            tar.addfile(info, BytesIO(text))
        tar.add(layer, layer_name)


def _layer(root: Path, debian: Path, source: Path, binaries: Mapping[str, Path], progress: Progress) -> Path:
    """Fill `root` with a node's root file system and make a tar of it beside it."""
    root.mkdir()
    steps.run(
        "unpacking Debian",
        ["tar", "--extract", "--numeric-owner", "--file", str(debian), "--directory", str(root)],
        progress,
        announce=False,
    )
    # The node's own kubeadm says which images it wants, and the first edit needs one of them.
    (root / "usr/bin/kubeadm").write_bytes(binaries[programs.KUBEADM.name].read_bytes())
    (root / "usr/bin/kubeadm").chmod(0o755)
    names = rootfs.kubeadm_images(root)
    rootfs.prepare(root, source, binaries, names["pause"], progress)
    wanted = components.components(names, rootfs.proxy_files(root))
    with (
        progress.step(f"{len(wanted) + 1} images for the node's store"),
        tempfile.TemporaryDirectory(prefix="kind-") as scratch,
    ):
        preload.images(root / "var/lib/containerd", components.write(root.parent, wanted, binaries), Path(scratch))
    layer = root.with_name("layer.tar")
    excluded = [f"--exclude={pattern}" for pattern in _EXCLUDED]
    steps.run(
        "the image's layer",
        ["tar", "--create", "--numeric-owner", *excluded, "--file", str(layer), "--directory", str(root), "."],
        progress,
        announce=False,
    )
    return layer
