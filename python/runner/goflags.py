"""What manifests for Operator SDK's Go runtime say that is no setting here: understood, so that they still start.

Flags that only have another name here are aliases in `settings.table`. Of these here one sets the defaults of two
settings, as a variable does for a third; the others can mean nothing, and are told of once.
"""

import argparse
from collections.abc import Mapping
from typing import Any

from runner.settings import SettingsError
from runner.settings.readers import boolean

__all__ = ["WITHOUT_EFFECT", "add_flags", "remarks", "translate"]

WITHOUT_EFFECT: Mapping[str, str] = {
    "--enable-http2": "metrics are served over HTTP/1.1 only, and there is no webhook server",
    "--leader-elect-resource-lock": "the lock is always a Lease",
    "--zap-stacktrace-level": "a trace is logged with each unexpected failure, and with no other line",
}
"""What each of them is without, for whoever still gives it."""

_DEVEL = "--zap-devel"
_HTTP2 = "--enable-http2"
_DEBUG_LOGS = "ANSIBLE_DEBUG_LOGS"
_STANDS_FOR: Mapping[str, Mapping[str, str]] = {
    _DEVEL: {"log_level": "debug", "log_format": "console"},
    _HTTP2: {},
    _DEBUG_LOGS: {"ansible_log_events": "everything"},
}
"""Switches, and what settings they set where nothing else does."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("taken from manifests of Operator SDK's Go runtime")
    for flag in (_DEVEL, *WITHOUT_EFFECT):
        why = WITHOUT_EFFECT.get(flag)
        meaning = f"without effect: {why}" if why else "the same as --log-level=debug --log-format=console"
        if flag in _STANDS_FOR:
            group.add_argument(flag, nargs="?", const="true", metavar="true|false", help=meaning)
        else:
            group.add_argument(flag, metavar=flag.rsplit("-", 1)[-1].upper(), help=meaning)


def translate(given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what the settings are to be read from; flags of our own beat what these stand for.

    Raises:
        SettingsError: a switch that is neither on nor off.
    """
    values = dict(given)
    for switch, settings in _STANDS_FOR.items():
        text = environment.get(switch) if switch == _DEBUG_LOGS else given.get(_name(switch))
        if _is_on(switch, text):
            values |= {name: value for name, value in settings.items() if given.get(name) is None}
    return values


def _is_on(switch: str, text: str | None) -> bool:
    try:
        return bool(text) and boolean(str(text))
    except ValueError as error:
        raise SettingsError(f"{switch}={text!r}: {error}") from error


def remarks(given: Mapping[str, Any]) -> list[str]:
    """One line for each flag that was given and does nothing."""
    return [
        f"{flag} has no effect: {why}" for flag, why in WITHOUT_EFFECT.items() if given.get(_name(flag)) is not None
    ]


def _name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
