"""Which parts of a run's environment the warm parent has to share with it (pure).

Ansible, Python and the C library read these once, when they start. A run that differs in one of them from the warm
parent would be run with another's settings, so it never is.
"""

from collections.abc import Mapping

__all__ = ["PER_RUN", "Settings", "coerced", "settings_of", "startup_environment"]

PER_RUN = frozenset({
    "ANSIBLE_ASYNC_DIR", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TEMP", "ANSIBLE_ROLES_PATH",
})  # fmt: skip
"""Variables of Ansible's own that differ from run to run; each fork takes them in (`singletons.become_run`)."""
_SHARED = frozenset({"COLUMNS", "ENABLE_TURBO_MODE", "HOME", "LANG", "LANGUAGE", "NO_COLOR", "TERM", "VIRTUAL_ENV"})
_SHARED_PREFIXES = ("ANSIBLE_", "LC_", "LD_", "PYTHON", "XDG_")
_STARTUP = frozenset({"LANG", "LANGUAGE", "PATH"})
_STARTUP_PREFIXES = ("LC_", "LD_", "PYTHON")
_WITHOUT = frozenset({"PYTHONUNBUFFERED"})
"""Images like to set it for their own log. Here each line would wake up the supervisor; events are flushed as it is."""

Settings = frozenset[tuple[str, str]]


def settings_of(environment: Mapping[str, str]) -> Settings:
    """What has to be equal."""
    return frozenset(
        (name, value)
        for name, value in environment.items()
        if name not in PER_RUN and (name in _SHARED or name.startswith(_SHARED_PREFIXES))
    )


def startup_environment(environment: Mapping[str, str], *, package: str) -> dict[str, str]:
    """What the warm parent's interpreter is started with.

    Args:
        environment: a run's.
        package: the directory that holds our own package.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _WITHOUT and (name in _STARTUP or name.startswith(_STARTUP_PREFIXES))
    }
    return {**kept, "PYTHONPATH": ":".join(filter(None, (package, kept.get("PYTHONPATH"))))}


def coerced(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment as a new interpreter leaves it: in the C locale it asks for UTF-8 (PEP 538)."""
    locale = next((environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)), "C")
    if locale not in {"C", "POSIX"} or environment.get("LC_ALL") or environment.get("PYTHONCOERCECLOCALE") == "0":
        return dict(environment)
    return {**environment, "LC_CTYPE": "C.UTF-8"}
