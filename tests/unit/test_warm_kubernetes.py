"""Reading a kubeconfig in a warm run."""

import io

import pytest
import yaml

from runner.execution.warm.kubernetes import LibYaml

FAST = LibYaml(yaml)


@pytest.mark.parametrize(
    "source", ["clusters: [{name: a, cluster: {server: 'https://é:1'}}]\n", "{}", "", "a: 2026-01-01"]
)
def test_values_are_those_of_pyyaml(source: str) -> None:
    assert FAST.safe_load(source) == yaml.safe_load(source)
    assert FAST.safe_load(io.StringIO(source)) == yaml.safe_load(source)


def test_a_broken_file_is_told_of_in_the_words_of_pyyaml() -> None:
    with pytest.raises(yaml.YAMLError) as expected:
        yaml.safe_load("users: [")
    with pytest.raises(yaml.YAMLError) as found:
        FAST.safe_load(io.StringIO("users: ["))
    assert str(found.value) == str(expected.value)


def test_the_rest_is_pyyaml() -> None:
    assert FAST.safe_dump is yaml.safe_dump
