"""watches.yaml is the contract with existing projects: keys, defaults and what is said about mistakes."""

import textwrap
from pathlib import Path

import pytest

from runner.content import Content, SearchPath
from runner.fieldpaths import FieldPath
from runner.objects import GroupVersionKind
from runner.watches import Loaded, WatchesError, load, parse

ECHO = GroupVersionKind("mmontes.io", "v1alpha1", "Echo")


@pytest.fixture
def search(tmp_path: Path) -> SearchPath:
    for role in ("echo", "scheduledecho"):
        (tmp_path / "roles" / role).mkdir(parents=True)
    (tmp_path / "play.yml").write_text("[]")
    return SearchPath(project=tmp_path)


def read(text: str, search: SearchPath, **environment: str) -> Loaded:
    return parse(textwrap.dedent(text), name="watches.yaml", search=search, environment=environment)


def problems(text: str, search: SearchPath) -> list[str]:
    with pytest.raises(WatchesError) as caught:
        read(text, search)
    return caught.value.problems


def test_defaults_are_operator_sdks_but_for_mark_unsafe(search: SearchPath) -> None:
    loaded = read("- {group: mmontes.io, version: v1alpha1, kind: Echo, role: echo}", search)
    (watch,) = loaded.watches
    assert loaded.warnings == ()
    assert watch.gvk == ECHO
    assert watch.content == Content(role=search.project / "roles" / "echo")
    assert watch.finalizer is None
    assert watch.reconcile_period_s is None
    assert watch.max_runner_artifacts == 20
    assert (watch.manage_status, watch.watch_dependent_resources, watch.snake_case_parameters) == (True, True, True)
    assert (watch.watch_cluster_scoped_resources, watch.watch_annotations_changes) == (False, False)
    assert watch.mark_unsafe is True
    assert watch.run_timeout_s is None
    assert watch.watch_dependent_status == "false"
    assert watch.selector.matches({"any": "thing"})


def test_every_key_is_read(search: SearchPath) -> None:
    (watch,) = read(
        """
        - group: mmontes.io
          version: v1alpha1
          kind: Echo
          playbook: play.yml
          vars: {colour: blue}
          finalizer: {name: mmontes.io/finalizer, role: scheduledecho, vars: {gone: true}}
          reconcilePeriod: 1m30s
          manageStatus: false
          watchDependentResources: false
          watchClusterScopedResources: true
          watchAnnotationsChanges: true
          snakeCaseParameters: false
          markUnsafe: false
          maxRunnerArtifacts: 3
          blacklist: [{group: "", version: v1, kind: ConfigMap}]
          selector: {matchLabels: {app: x}}
          runTimeout: 10m
          runEnv: [HOME]
          watchDependentStatus: terminal
          dependentIgnore: [status, 'metadata.annotations["x"]']
          controllerReference: true
          maxConcurrentReconciles: 2
          warmModules: false
        """,
        search,
    ).watches
    assert watch.content == Content(playbook=search.project / "play.yml")
    assert watch.vars == {"colour": "blue"}
    assert watch.finalizer is not None
    assert watch.finalizer.name == "mmontes.io/finalizer"
    assert watch.finalizer.content == Content(role=search.project / "roles" / "scheduledecho")
    assert watch.finalizer.vars == {"gone": True}
    assert watch.reconcile_period_s == 90
    assert (watch.manage_status, watch.watch_dependent_resources, watch.snake_case_parameters) == (False, False, False)
    assert (watch.watch_cluster_scoped_resources, watch.watch_annotations_changes) == (True, True)
    assert watch.mark_unsafe is False
    assert watch.max_runner_artifacts == 3
    assert watch.blacklist == {GroupVersionKind("", "v1", "ConfigMap")}
    assert watch.selector.matches({"app": "x"})
    assert not watch.selector.matches({"app": "y"})
    assert watch.run_timeout_s == 600
    assert watch.run_env == ("HOME",)
    assert watch.watch_dependent_status == "terminal"
    assert watch.dependent_ignore == (FieldPath(("status",)), FieldPath(("metadata", "annotations", "x")))
    assert watch.controller_reference is True
    assert watch.max_concurrent_reconciles == 2
    assert watch.warm_modules is False


def test_all_problems_are_reported_at_once_and_by_path(search: SearchPath) -> None:
    """One start, one list: nobody mends a file one error at a time."""
    found = problems(
        """
        - {group: mmontes.io, version: v1alpha1, kind: Echo, role: echo}
        - {group: mmontes.io, version: v1alpha1, kind: Echo, role: echo}
        - {version: v1, kind: Pod, role: ehco}
        - {version: v1, kind: Secret, role: echo, reconcilePeriod: 30, manageStatus: maybe}
        - {kind: Node, playbook: nope.yml}
        - {version: v1, kind: Job}
        - {version: v1, kind: X, role: echo, finalizer: {role: nowhere}}
        - just text
        """,
        search,
    )
    assert found[0] == "watches.yaml[2].role: no such role 'ehco' (have: echo, scheduledecho)"
    assert "watches.yaml[3].reconcilePeriod: must be a duration such as '30s' or '1h', in quotes, found int 30" in found
    assert "watches.yaml[3].manageStatus: must be true or false, found str 'maybe'" in found
    assert "watches.yaml[4].version: is required" in found
    assert any(line.startswith("watches.yaml[4].playbook: no such file 'nope.yml'") for line in found)
    assert "watches.yaml[5].role: is required, or playbook" in found
    assert "watches.yaml[6].finalizer.name: is required, as in 'mmontes.io/finalizer'" in found
    assert any(line.startswith("watches.yaml[6].finalizer.role: no such role 'nowhere'") for line in found)
    assert "watches.yaml[7]: must be a mapping, found str 'just text'" in found
    assert "watches.yaml[1].kind: mmontes.io/v1alpha1, Kind=Echo is watched by watches.yaml[0] already" in found


def test_each_bad_path_of_a_field_is_named(search: SearchPath) -> None:
    """A path that nobody can read would ignore nothing, and its author would look elsewhere for the reason."""
    remedy = """write it like spec.replicas, metadata.annotations["a/b"] or spec.containers[*].image"""
    assert problems(
        """
        - {version: v1, kind: Pod, role: echo, dependentIgnore: [spec.replicas, 'spec..x', 3, '[0]', 'a["b]']}
        - {version: v1, kind: Job, role: echo, dependentIgnore: status}
        """,
        search,
    ) == [
        f"watches.yaml[0].dependentIgnore[1]: 'spec..x' cannot be read from '..x' on; {remedy}",
        "watches.yaml[0].dependentIgnore[2]: must be text, found int 3",
        f"watches.yaml[0].dependentIgnore[3]: '[0]' does not begin with the name of a field; {remedy}",
        f"watches.yaml[0].dependentIgnore[4]: 'a[\"b]' cannot be read from '[\"b]' on; {remedy}",
        "watches.yaml[1].dependentIgnore: must be a list, found str 'status'",
    ]


@pytest.mark.parametrize("value", ["10 minutes", "-5s", "1d"])
def test_bad_duration_is_a_problem_that_names_the_key(search: SearchPath, value: str) -> None:
    (line,) = problems(f"- {{version: v1, kind: Pod, role: echo, runTimeout: '{value}'}}", search)
    assert line.startswith("watches.yaml[0].runTimeout: ")
    assert value in line


def test_unknown_key_is_a_warning_with_a_suggestion(search: SearchPath) -> None:
    loaded = read("- {version: v1, kind: Pod, role: echo, reconcilePeriodd: 1m, finaliser: {}}", search)
    assert loaded.warnings == (
        "watches.yaml[0].reconcilePeriodd: unknown key, ignored; did you mean 'reconcilePeriod'?",
        "watches.yaml[0].finaliser: unknown key, ignored; did you mean 'finalizer'?",
    )


def test_role_and_playbook_together_is_a_warning_and_the_playbook_wins(search: SearchPath) -> None:
    loaded = read("- {version: v1, kind: Pod, role: echo, playbook: play.yml}", search)
    assert loaded.watches[0].content == Content(playbook=search.project / "play.yml")
    assert loaded.warnings == ("watches.yaml[0].role: ignored, because playbook is set too; keep one of them",)


def test_same_kind_and_version_in_two_groups_are_two_watches(search: SearchPath) -> None:
    loaded = read(
        "[{group: a, version: v1, kind: X, role: echo}, {group: b, version: v1, kind: X, role: echo}]", search
    )
    assert [watch.gvk.group for watch in loaded.watches] == ["a", "b"]


def test_keys_match_without_regard_to_case(search: SearchPath) -> None:
    """The Go runtime's decoder does, so existing files may rely on it."""
    loaded = read("- {Version: v1, KIND: Pod, Role: echo, managestatus: false}", search)
    assert loaded.warnings == ()
    assert loaded.watches[0].manage_status is False


def test_only_braced_variables_that_exist_are_replaced(search: SearchPath) -> None:
    loaded = read(
        "- {version: v1, kind: Pod, role: '${ROLE}', vars: {a: $ROLE, b: '${NOPE}'}}", search, ROLE="scheduledecho"
    )
    watch = loaded.watches[0]
    assert watch.content == Content(role=search.project / "roles" / "scheduledecho")
    assert watch.vars == {"a": "$ROLE", "b": "${NOPE}"}


def test_the_operators_word_on_templates_counts_where_a_watch_has_none(search: SearchPath) -> None:
    text = "[{version: v1, kind: A, role: echo}, {version: v1, kind: B, role: echo, markUnsafe: true}]"
    loaded = parse(text, name="w", search=search, environment={}, mark_unsafe=False)
    assert [watch.mark_unsafe for watch in loaded.watches] == [False, True]


def test_no_artifacts_are_no_artifacts(search: SearchPath) -> None:
    """The Go runtime reads 0 as 20, and people who wanted none ran out of inodes."""
    loaded = read("- {version: v1, kind: Pod, role: echo, maxRunnerArtifacts: 0}", search)
    assert loaded.watches[0].max_runner_artifacts == 0


def test_a_finalizer_that_would_do_nothing_is_refused(search: SearchPath) -> None:
    (line,) = problems("- {version: v1, kind: Pod, role: echo, finalizer: {name: f}}", search)
    assert line == "watches.yaml[0].finalizer: needs a role, a playbook or vars, or it would do nothing"


def test_a_bad_selector_is_a_problem_by_path(search: SearchPath) -> None:
    (line,) = problems("- {version: v1, kind: Pod, role: echo, selector: {matchLabels: {a: 1}}}", search)
    assert line == "watches.yaml[0].selector: matchLabels.a: 1 must be a string; quote it"


def test_zero_period_means_never(search: SearchPath) -> None:
    """The Go runtime reads it as 'not set' although its maintainers and users mean never."""
    assert (
        read("- {version: v1, kind: Pod, role: echo, reconcilePeriod: 0s}", search).watches[0].reconcile_period_s == 0
    )


def test_finalizer_may_be_vars_alone(search: SearchPath) -> None:
    loaded = read("- {version: v1, kind: Pod, role: echo, finalizer: {name: f, vars: {gone: true}}}", search)
    finalizer = loaded.watches[0].finalizer
    assert finalizer is not None
    assert finalizer.content is None


@pytest.mark.parametrize("text", ["", "{}", "hello", "[]"])
def test_a_file_that_is_no_list_says_so(search: SearchPath, text: str) -> None:
    (line,) = problems(text, search)
    assert line.startswith("watches.yaml: must be a list of watches")


def test_broken_yaml_names_line_and_column(search: SearchPath) -> None:
    (line,) = problems("- {a: b", search)
    assert line.startswith("watches.yaml: not YAML: ")
    assert "line 1" in line


def test_missing_file_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(WatchesError, match="--watches-file"):
        load(tmp_path / "none.yaml", search=SearchPath(project=tmp_path), environment={})
