"""Write docs/settings.md from the table in runner.settings; `--check` says whether it is up to date."""

import sys
from pathlib import Path

from runner import goflags
from runner.settings.table import TABLE, describe

_TARGET = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
_HEAD = """\
# Settings of `ansible-operator run`

Made from `runner.settings` by `python -m scripts.settings_table`; do not edit. A flag beats its environment variable,
which beats the default. Variables marked (echoperator) are read under `--env-compat=echoperator` only. Durations are
Go's: `30s`, `1h30m`.

| flag | environment | default | meaning |
|---|---|---|---|
"""


def render() -> str:
    """The whole page."""
    rows = [
        f"| `{flag}` | {variables or ' '} | {f'`{default}`' if default else 'empty'} | {text} |"
        for flag, variables, default, text in describe()
    ]
    return _HEAD + "\n".join(rows) + "\n" + _also_taken()


def _also_taken() -> str:
    """What only manifests of the Go runtime have."""
    lines = [f"- `{alias}` is `{option.flag}`" for option in TABLE for alias in option.aliases]
    lines.append("- `--zap-devel` is `--log-level=debug --log-format=console`, where these are not given")
    lines.append("- the variable `ANSIBLE_DEBUG_LOGS` is `--ansible-log-events=everything`, where that is not given")
    lines += [f"- `{flag}` has no effect: {why}" for flag, why in goflags.WITHOUT_EFFECT.items()]
    return "\nTaken from manifests of Operator SDK's Go runtime too:\n\n" + "\n".join(lines) + "\n"


def main() -> int:
    if "--check" in sys.argv:
        return int(_TARGET.read_text(encoding="utf-8") != render())
    _TARGET.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
