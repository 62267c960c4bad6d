"""What a person at a terminal gets: help worth reading, and one clear answer to a wrong start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner import cli, settings

ROOT = Path(__file__).resolve().parents[2]
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""


def run(directory: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "runner", *arguments],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "python"), "HOME": str(directory), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "roles" / "echo").mkdir(parents=True)
    (tmp_path / "kubeconfig").write_text(KUBECONFIG)
    (tmp_path / "watches.yaml").write_text("- {group: g, version: v1, kind: Echo, role: echo}\n")
    return tmp_path


def test_version_names_what_users_ask_about(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["version"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("ansible-operator ")
    assert "ansible-core 2.21" in text


def test_help_of_run_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["run", "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in ("--watches-file", "--leader-elect", "--env-compat", "--graceful-shutdown-timeout"):
        assert flag in text


def test_no_command_shows_the_help_and_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "run the operator" in capsys.readouterr().out


def test_all_problems_of_the_watches_file_are_shown_before_anything_starts(project: Path) -> None:
    (project / "watches.yaml").write_text(
        "- {version: v1, kind: A, role: ehco}\n- {version: v1, kind: B, role: echo, runTimeout: 5}\n"
    )
    done = run(project, "run")
    assert done.returncode == 2
    assert "watches.yaml[0].role: no such role 'ehco' (have: echo)" in done.stderr
    assert "watches.yaml[1].runTimeout: must be a duration" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_warning_stops_the_start_under_strict_only(project: Path) -> None:
    (project / "watches.yaml").write_text("- {version: v1, kind: A, role: echo, colour: blue}\n")
    done = run(project, "run", "--strict")
    assert done.returncode == 2
    assert "watches.yaml[0].colour: unknown key" in done.stderr
    assert "refused under --strict" in done.stderr


@pytest.mark.parametrize("marked", ["true", "false"])
def test_the_flag_on_templates_counts_for_all_watches(
    project: Path, monkeypatch: pytest.MonkeyPatch, marked: str
) -> None:
    monkeypatch.chdir(project)
    loaded = cli._load_watches(settings.resolve({"mark_unsafe": marked}, {}), {})
    assert [str(watch.mark_unsafe).lower() for watch in loaded.watches] == [marked]


def test_a_flag_without_effect_is_told_once(project: Path) -> None:
    done = run(project, "run", "--kubeconfig=kubeconfig", "--enable-http2", "--zap-encoder=json", "--leader-elect")
    (line,) = [line for line in done.stderr.splitlines() if "without effect" in line]
    assert "--enable-http2 has no effect" in line


def test_bad_settings_are_shown_together(project: Path) -> None:
    done = run(project, "run", "--reconcile-period=5", "--log-level=loud")
    assert done.returncode == 2
    assert "--reconcile-period='5'" in done.stderr
    assert "--log-level='loud'" in done.stderr


def test_no_cluster_names_the_ways_to_one(project: Path) -> None:
    done = run(project, "run", "--kubeconfig=nowhere")
    assert done.returncode == 2
    assert "KUBECONFIG" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--leader-elect"], "--leader-election-id"),
        (["--metrics-bind-address=nonsense"], "--metrics-bind-address"),
        (
            ["--leader-elect", "--leader-election-id=x", "--leader-elect-renew-deadline=20s"],
            "--leader-elect-renew-deadline",
        ),
    ],
)
def test_settings_that_do_not_fit_name_the_flag(project: Path, arguments: list[str], names: str) -> None:
    done = run(project, "run", "--kubeconfig=kubeconfig", *arguments)
    assert done.returncode == 2
    assert names in done.stderr
    assert "Traceback" not in done.stderr
