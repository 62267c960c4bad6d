"""Label selectors mean what the API server means by them, and a bad one is told in full."""

import pytest

from runner.labelselector import Requirement, Selector, SelectorError

LABELS = {"app": "echo", "tier": "web", "empty": ""}


@pytest.mark.parametrize(
    ("raw", "text", "expected"),
    [
        (None, "", True),
        ({}, "", True),
        ({"matchLabels": None, "matchExpressions": None}, "", True),
        ({"matchLabels": {"app": "echo"}}, "app=echo", True),
        ({"matchLabels": {"tier": "web", "app": "echo"}}, "app=echo,tier=web", True),
        ({"matchLabels": {"app": "echo", "tier": "db"}}, "app=echo,tier=db", False),
        ({"matchLabels": {"empty": ""}}, "empty=", True),
        ({"matchLabels": {"missing": ""}}, "missing=", False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "echo"]}]}, "app in (echo,x)", True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x", "y"]}]}, "app in (x,y)", False),
        ({"matchExpressions": [{"key": "missing", "operator": "In", "values": ["x", "y"]}]}, "missing in (x,y)", False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]}, "app notin (x)", True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["echo"]}]}, "app notin (echo)", False),
        ({"matchExpressions": [{"key": "missing", "operator": "NotIn", "values": ["x"]}]}, "missing notin (x)", True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, "app", True),
        ({"matchExpressions": [{"key": "missing", "operator": "Exists"}]}, "missing", False),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, "!app", False),
        ({"matchExpressions": [{"key": "missing", "operator": "DoesNotExist", "values": []}]}, "!missing", True),
        (
            {"matchLabels": {"example.com/app": "a"}, "matchExpressions": [{"key": "app", "operator": "Exists"}]},
            "app,example.com/app=a",
            False,
        ),
    ],
)
def test_selector_means_what_the_api_server_means(raw, text, expected):
    """The informer lets the server select, the reconciler checks again: both must agree."""
    selector = Selector.parse(raw)
    assert (str(selector), selector.matches(LABELS)) == (text, expected)


def test_equal_selectors_are_equal_values():
    """Watches are compared and hashed with their selectors."""
    one = Selector.parse({"matchLabels": {"a": "1", "b": "2"}})
    assert one == Selector.parse({"matchLabels": {"b": "2", "a": "1"}})
    assert one == Selector((Requirement("a", "In", ("1",)), Requirement("b", "In", ("2",))))


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        (["a"], ("selector: must be a mapping, not list",)),
        ({"matchLabel": {}}, ("matchLabel: unknown (have: matchExpressions, matchLabels)",)),
        ({"matchLabels": ["a"]}, ("matchLabels: must be a mapping, not list",)),
        ({"matchLabels": {"a": True}}, ("matchLabels.a: True must be a string; quote it",)),
        ({"matchLabels": {"a": "b c"}}, ("matchLabels.a: 'b c' is no label value",)),
        ({"matchLabels": {"a": "b" * 64}}, (f"matchLabels.a: '{'b' * 64}' is no label value",)),
        ({"matchLabels": {"a,b": "c"}}, ("matchLabels: 'a,b' is no label key",)),
        ({"matchLabels": {"/a": "c"}}, ("matchLabels: '/a' is no label key",)),
        ({"matchLabels": {"Up.per/a": "c"}}, ("matchLabels: 'Up.per/a' is no label key",)),
        ({"matchExpressions": {"key": "a"}}, ("matchExpressions: must be a list, not dict",)),
        (
            {"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "Exists", "values": ["x"]}]},
            ("matchExpressions[0].values: In needs at least one", "matchExpressions[1].values: Exists takes none"),
        ),
        (
            {"matchExpressions": [{"operator": "in", "value": "x"}]},
            (
                "matchExpressions[0].value: unknown (have: key, operator, values)",
                "matchExpressions[0].key: None is no label key",
                "matchExpressions[0].operator: 'in' is none of In, NotIn, Exists, DoesNotExist",
            ),
        ),
    ],
)
def test_selector_errors_name_each_place(raw, problems):
    """Whoever writes watches.yaml mends all of it in one go."""
    with pytest.raises(SelectorError) as caught:
        Selector.parse(raw)
    assert caught.value.problems == problems
