"""Provides the cluster's binaries: found, cached or built from their Go modules.

A build is done under a temporary name and renamed, under a lock for each module: two builders at once do no harm,
and an interrupted one leaves nothing that looks finished.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster import cache, processes, toolchain, versions
from cluster.errors import BuildFailedError
from cluster.progress import Progress, seconds

_MANY = 6
"""Programs of which some take minutes to build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A binary somebody else built: the path, and why it will not do."""

    path: Path
    misfit: str | None
    """`None`: it will do."""


def judge(program: versions.Program, path: Path, output: str) -> Found:
    """Decide by its `--version` output whether the binary at `path` can be used for `program`."""
    found = versions.parse_version(output)
    if found is None:
        return Found(path=path, misfit=f"{path} does not tell its version")
    if not program.fits(found):
        return Found(path=path, misfit=f"{path} is {found}, wanted is {program.wanted}")
    return Found(path=path, misfit=None)


def _look_at(program: versions.Program, path: Path) -> Found:
    try:
        answer = subprocess.run(
            [path, *program.version_arguments], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Found(path=path, misfit=f"{path} does not run: {error}")
    return judge(program, path, answer.stdout)


def provide(
    programs: Iterable[versions.Program],
    progress: Progress | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Path]:
    """Find or build all of `programs`.

    Looked for in this order: the directory `KUBEBUILDER_ASSETS`, the cache, PATH; what is not found is built.

    Returns:
        The binaries' paths by program name.

    Raises:
        BuildFailedError: Go could not build one.
        NoToolchainError: There is no Go to build with.
    """
    progress = progress or Progress()
    programs = tuple(programs)
    have: dict[str, Path] = {}
    missing: list[versions.Program] = []
    keys = {program.module.directory: cache.module_key(program.module) for program in programs}
    for program in programs:
        path = _existing(program, cache.root(environ) / "bin" / keys[program.module.directory], progress, environ)
        if path is None:
            missing.append(program)
        else:
            have[program.name] = path
    if missing:
        have |= _build_all(missing, len(have), cache.root(environ), progress)
    return have


def _existing(
    program: versions.Program, cached_in: Path, progress: Progress, environ: Mapping[str, str]
) -> Path | None:
    if program in versions.BAKED:
        return cached_in / program.name if (cached_in / program.name).exists() else None
    assets = environ.get("KUBEBUILDER_ASSETS")
    if assets and (Path(assets) / program.name).exists():
        found = _look_at(program, Path(assets) / program.name)
        if found.misfit is None:
            return found.path
        progress.warn(f"  KUBEBUILDER_ASSETS: {found.misfit}; not used")
    if (cached_in / program.name).exists():
        return cached_in / program.name
    on_path = shutil.which(program.name, path=environ.get("PATH"))
    if on_path is not None and _look_at(program, Path(on_path)).misfit is None:
        return Path(on_path)
    return None


def _build_all(missing: list[versions.Program], already: int, cache_root: Path, progress: Progress) -> dict[str, Path]:
    go = toolchain.find(tuple(program.module for program in missing), progress)
    started = time.monotonic()
    names = "a program" if len(missing) == 1 else f"{len(missing)} programs"
    hint = "; about seven minutes on two cores" if len(missing) >= _MANY else ""
    progress.say(f"Building {names} ({already} are there already){hint}")
    built = {}
    for number, program in enumerate(missing, start=1):
        target = cache.binary(program, cache_root)
        with progress.step(f"[{number}/{len(missing)}] {program.name} {program.module.version}"):
            _build(go, program, target)
        built[program.name] = target
    size = sum(path.stat().st_size for path in built.values())
    progress.say(
        f"Built {names} ({size / 1e6:.0f} MB) in {seconds(time.monotonic() - started)}; kept in {cache_root / 'bin'}"
    )
    return built


def _build(go: Path, program: versions.Program, target: Path) -> None:
    with cache.locked(target.parent / ".lock"):
        if target.exists():  # another builder was faster
            return
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as temporary:
            output = Path(temporary) / program.name
            command = [
                *(str(go), "build", *cache.build_flags(program.module)),
                *("-o", str(output), program.package),
            ]
            returncode, said = processes.run_to_end(
                command, cwd=program.module.directory, env={**os.environ, **cache.build_environment()}
            )
            if returncode != 0:
                raise BuildFailedError(program.name, said)
            output.rename(target)
