"""What the command line does: up, down, load, node-image. Prints results to standard output, progress elsewhere."""

import contextlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cluster import build, images, versions
from cluster.errors import DeclinedError, NoBusyboxError, NotRunningError
from cluster.kind import choice, clusters, engine, needs, nodeimage, programs, record, steps
from cluster.kind.choice import NodeImage
from cluster.kind.clusters import Kind, Place
from cluster.kind.engine import Engine
from cluster.kind.errors import KindRefusedError, StepFailedError
from cluster.kind.summary import Summary
from cluster.progress import Progress

_KUBECTL = versions.KUBERNETES.program("kubectl")


def up(place: Place, *, wanted_image: str, config: Path | None, as_json: bool, progress: Progress) -> int:
    """Bring a cluster up, or say that it is; leaves nothing behind when it fails or is interrupted."""
    started = time.monotonic()
    found = _find_or_prepare(progress)
    with contextlib.ExitStack() as held:
        if found is None:
            held.enter_context(record.locked())
        kind = Kind(
            program=programs.provide([programs.KIND], progress)[programs.KIND.name],
            engine=found or engine.start(progress),
        )
        try:
            summary = _up(place, kind, wanted_image, config, progress, started)
        except BaseException:
            _stop_idle(kind)
            raise
    print(summary.as_json() if as_json else summary.as_text())
    return 0


def down(place: Place, progress: Progress, *, everything: bool) -> int:
    """Delete a cluster; with the last one ours, stop the engine that ran for it.

    Args:
        place: Which.
        progress: Where to say what is done.
        everything: Each cluster of this project, and the engine of ours whatever it still has.
    """
    places = _places(place, everything=everything)
    docker = engine.found() if any(clusters.in_docker(each) for each in places) else None
    gone, stopped = [], False
    with progress.step("stopping", announce=False):
        if docker is not None:
            gone += _delete(docker, places, progress)
        if engine.left_anything():
            with record.locked():
                gone += _down_ours(place, progress, everything=everything)
                stopped = not engine.left_anything()
        for each in places:
            if not clusters.in_docker(each):
                each.remove()
    for name in gone:
        print(f'Deleted kind cluster "{name}".')
    if stopped:
        print("Stopped the engine that ran for kind, and put this machine back as it was.")
    for each in places:
        if clusters.in_docker(each) and docker is None:
            print(f'Kind cluster "{each.name}" was made with a docker that does not answer now; it is not deleted.')
    if not gone and not stopped:
        print(f"No kind cluster{'' if everything else f' "{place.name}"'} was up.")
    return 0


def load(place: Place, wanted: Sequence[str], progress: Progress) -> int:
    """Give a cluster's nodes images: archives by their path, or the engine's by their name.

    Raises:
        errors.NotRunningError: The cluster is not up.
    """
    kind = _attach(progress)
    if kind is None or place.name not in kind.names():
        raise NotRunningError(f'kind cluster "{place.name}" is not up: make kind-up')
    for image in wanted:
        kind.load(place.name, image, progress)
    return 0


def build_node_image(progress: Progress) -> int:
    """Build the node image if it is missing, give it to docker where one answers, and print its name."""
    needs.install(needs.IMAGE, progress, engine=False)
    archive = nodeimage.provide(progress)
    mine = engine.found() or engine.running()
    if mine is not None:
        _give(mine, archive, progress)
    print(nodeimage.name())
    progress.say(f"as a docker-archive: {archive}")
    return 0


def _find_or_prepare(progress: Progress) -> Engine | None:
    """The machine's docker. `None`: it has none, and everything that ours needs is there."""
    if engine.running() is not None:
        return None
    found = engine.found()
    if found is not None:
        return found
    if (reason := needs.occupied()) is not None:
        raise KindRefusedError(reason)
    try:
        needs.install((*needs.ENGINE, *needs.IMAGE), progress, engine=True)
    except DeclinedError as error:
        raise KindRefusedError("No docker answers here, and you did not want one installed.") from error
    return engine.found()  # Debian may have started it


def _up(
    place: Place, kind: Kind, wanted_image: str, config: Path | None, progress: Progress, started: float
) -> Summary:
    known = clusters.facts(place)
    if place.name in kind.names():
        if known is None:
            raise KindRefusedError(
                f'There is a kind cluster "{place.name}" already that was not made here; choose another KIND_CLUSTER.'
            )
        if _ready(place, progress):
            return _summary(place, kind, str(known["image"]), progress, already_up=True, started=started)
        progress.say(f'kind cluster "{place.name}" does not answer; it is made anew')
    kind.delete(place)
    image = _image(kind.engine, wanted_image, progress)
    try:
        kind.create(place, image.name, config, progress)
        return _summary(place, kind, image.name, progress, already_up=False, started=started)
    except BaseException:
        kind.delete(place)
        raise


def _image(mine: Engine, wanted: str, progress: Progress) -> NodeImage:
    """Decide for an image, and see to it that the engine has it if it is ours."""
    defaults = programs.kind_source(progress) / "pkg" / "apis" / "config" / "defaults" / "image.go"

    def has(name: str) -> bool:
        if mine.answer("image", "inspect", name) is not None:
            return True
        try:
            steps.run(f"pulling {name}", ["docker", "pull", "--quiet", name], progress, added=mine.environment)
        except StepFailedError as error:
            progress.say(f"  kind's own node image can't be pulled: {error.output.strip()[-300:]}")
            return False
        return True

    chosen = choice.node_image(
        wanted=wanted,
        own_engine=mine.ours,
        official=choice.official(defaults.read_text()),
        has=has,
        ours=nodeimage.name(),
    )
    if chosen.built_here:
        needs.install(needs.IMAGE, progress, engine=False)
        _give(mine, nodeimage.provide(progress), progress)
    return chosen


def _give(mine: Engine, archive: Path, progress: Progress) -> None:
    if mine.answer("image", "inspect", nodeimage.name()) is None:
        command = ["docker", "load", "--quiet", "--input", str(archive)]
        steps.run("giving the node image to the engine", command, progress, added=mine.environment)


def _summary(
    place: Place, kind: Kind, node_image: str, progress: Progress, *, already_up: bool, started: float
) -> Summary:
    kubectl = build.provide([_KUBECTL], progress)[_KUBECTL.name]
    asked = [str(kubectl), f"--kubeconfig={place.kubeconfig}", "get", "nodes", "--output"]
    version = steps.answer([*asked, "jsonpath={.items[0].status.nodeInfo.kubeletVersion}"])
    return Summary(
        place=place,
        kind=kind,
        kubectl=kubectl,
        kubernetes=version or "of an unknown version",
        node_image=node_image,
        test_image=_load_test_image(place, kind, progress),
        already_up=already_up,
        took_s=time.monotonic() - started,
    )


def _load_test_image(place: Place, kind: Kind, progress: Progress) -> str | None:
    with tempfile.TemporaryDirectory() as directory:
        try:
            archive = images.build_busybox(Path(directory) / "busybox.tar", progress)
        except NoBusyboxError:
            return None
        kind.load(place.name, str(archive), progress)
    return images.BUSYBOX


def _ready(place: Place, progress: Progress) -> bool:
    kubectl = build.provide([_KUBECTL], progress)[_KUBECTL.name]
    command = [str(kubectl), f"--kubeconfig={place.kubeconfig}", "--request-timeout=5s", "get", "--raw", "/readyz"]
    return steps.answer(command) is not None


def _attach(progress: Progress) -> Kind | None:
    mine = engine.running() or engine.found()
    if mine is None:
        return None
    return Kind(program=programs.provide([programs.KIND], progress)[programs.KIND.name], engine=mine)


def _down_ours(place: Place, progress: Progress, *, everything: bool) -> list[str]:
    """Delete from the engine of ours, and end it if nothing is left in it. The caller holds the lock."""
    mine = engine.running()
    if mine is None:
        engine.stop()  # what an unclean end has left
        return []
    kind = Kind(program=programs.provide([programs.KIND], progress)[programs.KIND.name], engine=mine)
    there = kind.names()
    doomed = there if everything else [name for name in there if name == place.name]
    if there == doomed:  # they end with their engine, at once
        engine.stop()
    elif doomed:
        kind.delete(place)
    return doomed


def _delete(docker: Engine, places: Sequence[Place], progress: Progress) -> list[str]:
    """Delete from the machine's docker what this project has made there."""
    kind = Kind(program=programs.provide([programs.KIND], progress)[programs.KIND.name], engine=docker)
    return [place.name for place in places if clusters.in_docker(place) and kind.delete(place)]


def _places(place: Place, *, everything: bool) -> list[Place]:
    above = place.directory.parent
    if not everything:
        return [place]
    return [Place(root=place.root, name=each.name) for each in above.iterdir()] if above.is_dir() else []


def _stop_idle(kind: Kind) -> None:
    """End the engine of ours if no cluster is in it. The caller holds the lock."""
    if kind.engine.ours and not kind.names():
        engine.stop()
