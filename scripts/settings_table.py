"""Write docs/settings.md from the table in runner.settings; `--check` says whether it is up to date."""

import sys
from pathlib import Path

from runner.settings import describe

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
    return _HEAD + "\n".join(rows) + "\n"


def main() -> int:
    if "--check" in sys.argv:
        return int(_TARGET.read_text(encoding="utf-8") != render())
    _TARGET.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
