"""The images as built here, without a container engine: what is in them, and who can run them.

Building takes minutes the first time and is kept by content, so later runs pay for a change alone.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from built_image import built, wish
from container import Root, require_runc
from harness import ECHO, JOB, Api, echo, eventually, succeeded
from scripts.image import archive, build
from scripts.image.archive import Image

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

USERS = pytest.mark.parametrize("uid", [1001, 12345], ids=["the image's user", "any other user, as OpenShift has it"])


@pytest.fixture(scope="module")
def images(operator_image: Image) -> dict[str, Image]:
    return {"operator": operator_image, "base": built("base")}


@pytest.fixture(scope="module")
def unpacked(images: dict[str, Image], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Root]]:
    require_runc()
    place = tmp_path_factory.mktemp("images")
    roots: dict[str, Root] = {}

    def unpack(target: str) -> Root:
        if target not in roots:
            roots[target] = Root(images[target], place / target)
        return roots[target]

    yield unpack
    shutil.rmtree(place)


@pytest.fixture
def operator_root(unpacked: Callable[[str], Root]) -> Root:
    return unpacked("operator")


@pytest.fixture
def base_root(unpacked: Callable[[str], Root]) -> Root:
    return unpacked("base")


@pytest.mark.parametrize(("target", "most"), [("operator", 300_000_000), ("base", 400_000_000)])
def test_an_image_is_no_larger_than_promised(images: dict[str, Image], target: str, most: int) -> None:
    assert archive.size(images[target]) <= most


def test_two_builds_from_nothing_have_equal_layers(images: dict[str, Image]) -> None:
    """Or nobody could check that a published image is what its sources make."""
    from cluster.progress import Progress  # noqa: PLC0415

    assert build.again(wish("operator"), Progress()) == images["operator"].layers


@pytest.mark.parametrize("target", ["operator", "base"])
def test_an_image_says_what_it_is_and_runs_as_a_number(images: dict[str, Image], target: str) -> None:
    """The kubelet can check `runAsNonRoot` against a number only."""
    config = images[target].config
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert config["User"] == "1001"
    assert config["Entrypoint"][:4] == ["/tini", "--", "/usr/local/bin/ansible-operator", "run"]
    assert {"title", "description", "version", "revision", "licenses", "base.name"} <= set(labels)
    assert {"HOME=/opt/ansible", "USER_UID=1001", "USER_NAME=ansible"} <= set(config["Env"])


def test_the_operators_image_can_install_and_compile_nothing(operator_root: Root) -> None:
    """It stands beside a service account that may write to a cluster."""
    files = [path for path in operator_root.path.rglob("*") if path.is_file() or path.is_symlink()]
    programs = {path.name for path in files if path.parent.name in {"bin", "sbin", "libexec"}}
    assert {"python3", "ansible-playbook"} <= programs
    assert not programs & {"pip", "pip3", "gcc", "cc", "c++", "g++", "make", "ld", "as", "cargo", "rustc"}
    assert not [path for path in files if path.suffix == ".whl"]
    for module in ("pip", "ensurepip"):
        assert f"No module named {module}" in operator_root.run("python3", "-m", module, "--version").stderr


@pytest.mark.parametrize("target", ["operator", "base"])
def test_nothing_has_to_be_compiled_when_a_container_starts(unpacked: Callable[[str], Root], target: str) -> None:
    """Without bytecode each start of Ansible takes twice the CPU, and nobody could keep it on a read-only disk."""
    look = (
        "import sys, pathlib, runner.cli, ansible.cli.playbook, kubernetes.dynamic, importlib.util as u\n"
        "loaded = [m.__spec__ for m in list(sys.modules.values()) if getattr(m, '__spec__', None)]\n"
        "sources = [s.origin for s in loaded if s.origin and s.origin.endswith('.py')]\n"
        "print(len(sources))\n"
        "print([s for s in sources if pathlib.Path(u.cache_from_source(s)).read_bytes()[4:8] != b'\\1\\0\\0\\0'])\n"
    )
    done = unpacked(target).run("env", "ANSIBLE_LOCAL_TEMP=/tmp/local", "python3", "-c", look)
    assert done.returncode == 0, done.stderr
    count, others = done.stdout.splitlines()
    assert int(count) > 500
    assert others == "[]"


@USERS
@pytest.mark.parametrize("target", ["operator", "base"])
def test_the_program_runs_for_any_user_on_a_read_only_disk(
    unpacked: Callable[[str], Root], target: str, uid: int
) -> None:
    done = unpacked(target).run("/tini", "--", "ansible-operator", "version", uid=uid)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ansible-core" in done.stdout


@pytest.mark.parametrize(("uid", "path"), [(1001, "warm"), (12345, "warm"), (12345, "plain")])
async def test_a_role_runs_for_any_user_with_nothing_writable_but_tmp(
    operator_root: Root, api: Api, namespace: str, open_kubeconfig: Path, tmp_path: Path, uid: int, path: str
) -> None:
    """In a fork of the loaded Ansible, and in a new Ansible; and the container ends as soon as it is asked to."""
    log = tmp_path / "operator.log"
    arguments = (
        *("--kubeconfig=/kubeconfig", f"--watch-namespace={namespace}", "--env-compat=echoperator"),
        *("--metrics-bind-address=0", "--health-probe-bind-address=0", f"--no-warm={path == 'plain'}"),
    )

    async def parent_ready() -> bool:
        return "the warm parent is ready" in log.read_text(encoding="utf-8")

    with operator_root.started(*arguments, log=log, uid=uid, mounts={open_kubeconfig: "/kubeconfig"}) as process:
        if path == "warm":
            await eventually(parent_ready, what="a loaded Ansible")
        await api.create(echo("one", namespace))
        await api.until(JOB, namespace, "one")
        await api.until(ECHO, namespace, "one", succeeded)
        process.terminate()
        assert await asyncio.to_thread(process.wait, 30) == 0
    said = log.read_text(encoding="utf-8")
    assert ("run takes the plain path" in said) is (path == "plain")
    assert "Read-only file system" not in said
    assert "Permission denied" not in said


_PROJECT_STEPS = """
set -e
test "$HOME" = /opt/ansible && test "$(pwd)" = "$HOME" && test "$USER_UID" = 1001
touch "$HOME/watches.yaml" && mkdir -p "$HOME/roles" "$HOME/playbooks"
ansible-galaxy collection build --output-path /tmp /opt/ansible-operator/collections/ansible_collections/operator_sdk/util
ansible-galaxy collection install /tmp/operator_sdk-util-*.tar.gz
chmod -R ug+rwx "$HOME/.ansible"
ansible-galaxy collection list | grep -q operator_sdk.util
ansible-galaxy collection list | grep -q kubernetes.core
ansible-config dump --only-changed | grep -q /opt/ansible/roles
mkdir -p /tmp/it && cd /tmp/it
printf 'answer = 42\\n' > a_filter.py
mkdir -p a_filter-1.dist-info
printf 'Metadata-Version: 2.1\\nName: a-filter\\nVersion: 1\\n' > a_filter-1.dist-info/METADATA
printf 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n' > a_filter-1.dist-info/WHEEL
printf 'a_filter.py,,\\na_filter-1.dist-info/METADATA,,\\na_filter-1.dist-info/WHEEL,,\\na_filter-1.dist-info/RECORD,,\\n' \
  > a_filter-1.dist-info/RECORD
python3 -m zipfile -c a_filter-1-py3-none-any.whl a_filter.py a_filter-1.dist-info
cd / && pip3 install --no-index --disable-pip-version-check /tmp/it/a_filter-1-py3-none-any.whl
python3 -c 'import a_filter; assert a_filter.answer == 42'
/tini --version
openssl version
"""
_PROJECT_LATER = """
set -e
export ANSIBLE_LOCAL_TEMP=/tmp/local
ansible-galaxy collection list operator_sdk.util | grep -q "$HOME/.ansible/collections"
python3 -c 'import a_filter'
"""


def test_what_dockerfiles_of_projects_do_works_in_the_base(base_root: Root) -> None:
    """Those that were written for Operator SDK's image: collections and pip packages, as the user that it left."""
    done = base_root.run("sh", "-c", _PROJECT_STEPS, writable=True)
    assert done.returncode == 0, done.stdout + done.stderr
    later = base_root.run("sh", "-c", _PROJECT_LATER, uid=12345)
    assert later.returncode == 0, later.stdout + later.stderr


def test_root_adds_to_the_bases_configuration(base_root: Root) -> None:
    """`RUN echo ... >> /etc/ansible/ansible.cfg` is common: the file must end inside `[defaults]`."""
    steps = "echo 'jinja2_extensions = jinja2.ext.do' >> /etc/ansible/ansible.cfg && ansible-config dump --only-changed"
    done = base_root.run("sh", "-c", steps, uid=0, writable=True, kept_root=True)
    assert "DEFAULT_JINJA2_EXTENSIONS" in done.stdout, done.stdout + done.stderr
