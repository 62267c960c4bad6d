"""How far a measurement has come: a bar on a terminal, elsewhere a line at each tenth. On standard error."""

import sys
from dataclasses import dataclass, field
from typing import TextIO

__all__ = ["Bar"]

_WIDTH = 30


@dataclass(slots=True)
class Bar:
    """Shows counts up to a total. Draws only when there is something new to see."""

    label: str
    total: int
    stream: TextIO = field(default_factory=lambda: sys.stderr)
    _shown: int = -1

    def show(self, done: int) -> None:
        total = max(1, self.total)
        done = min(done, total)
        terminal = self.stream.isatty()
        step = done if terminal else 10 * done // total
        if step == self._shown:
            return
        self._shown = step
        if terminal:
            filled = _WIDTH * done // total
            end = "\n" if done == total else ""
            bar = "#" * filled + "." * (_WIDTH - filled)
            self.stream.write(f"\r  {self.label} [{bar}] {done}/{total}{end}")
        else:
            self.stream.write(f"  {self.label} {done}/{total}\n")
        self.stream.flush()
