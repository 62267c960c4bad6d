"""What all examples keep to, and versions that are said in more than one place."""

from pathlib import Path

import pytest
import yaml

from cluster import versions
from harness import ROOT

EXAMPLES = ROOT / "examples"
ROLES = sorted(EXAMPLES.glob("*/config/rbac/*role*.yaml"))


@pytest.mark.parametrize("file", ROLES, ids=lambda file: f"{file.parts[-4]}/{file.stem}")
def test_rights_are_named_one_by_one(file: Path) -> None:
    for manifest in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        for rule in manifest.get("rules", []):
            assert "*" not in [word for words in rule.values() for word in words]


def test_minimart_s_image_has_the_helm_that_it_is_tested_with() -> None:
    dockerfile = (EXAMPLES / "minimart" / "Dockerfile").read_text(encoding="utf-8")
    assert f"{versions.HELM.package}@v{versions.HELM.module.version}\n" in dockerfile


def test_web_echo_runs_by_default_what_it_is_tested_with() -> None:
    defaults = (EXAMPLES / "webecho" / "roles" / "webecho" / "defaults" / "main.yml").read_text(encoding="utf-8")
    assert f"hashicorp/http-echo:{versions.HTTP_ECHO.module.version}'" in defaults
