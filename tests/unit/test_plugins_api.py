"""What the modules that ask the API server say when it cannot be asked, or refuses before they can begin."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
from ansible.module_utils.testing import patch_module_args

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
PLUGINS = "ansible_collections.operator_sdk.util.plugins"
api = import_module(f"{PLUGINS}.module_utils.api")

STATUS = {"api_version": "example.com/v1", "kind": "Thing", "name": "t", "namespace": "n"}
EVENT = {"name": "e", "namespace": "n", "message": "words", "reason": "Joined"}
REFUSAL = {"status": 403, "reason": "Forbidden", "body": '{"message": "not you"}'}


@pytest.mark.parametrize(
    ("name", "arguments", "refused"),
    [
        ("k8s_status", STATUS, "Failed to read the API's resources"),
        ("k8s_event", EVENT, "Unable to create event"),
    ],
)
@pytest.mark.parametrize(
    ("error", "message", "said"),
    [
        (api.ApiError(*REFUSAL.values()), "{refused}: 403 Forbidden: not you", REFUSAL),
        (api.ConnectionFailed("no answer"), "no answer", None),
        (ImportError("kubernetes"), "Failed to import the required Python library (kubernetes)", None),
    ],
    ids=["refused", "no answer", "no package"],
)
def test_a_module_that_could_not_begin_says_why(monkeypatch, capsys, name, arguments, refused, error, message, said):
    def of(_cls, _params):
        raise error

    module = import_module(f"{PLUGINS}.modules.{name}")
    monkeypatch.setattr(api.Api, "of", classmethod(of))
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    result = json.loads(capsys.readouterr().out)
    assert result["failed"]
    assert result["msg"].startswith(message.format(refused=refused))
    assert result.get("error") == said
