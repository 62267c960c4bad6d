"""What can go wrong with a kind cluster, as exceptions. Their text is for a person."""

from cluster.errors import ClusterError

_SHOWN_LINES = 20


class KindRefusedError(ClusterError):
    """This machine can't have a kind cluster now; the text is a sentence that says why and what helps."""


class StepFailedError(ClusterError):
    """A program that was run for a step failed: `step` is what it was for, `output` all it said."""

    def __init__(self, step: str, output: str) -> None:
        super().__init__(step, output)
        self.step = step
        self.output = output

    def __str__(self) -> str:
        lines = [line[:500] for line in self.output.strip().splitlines()[-_SHOWN_LINES:]] or ["(it said nothing)"]
        return "\n".join([f"{self.step} failed; it said last:", *(f"  {line}" for line in lines)])


class UnexpectedSourceError(ClusterError):
    """A file of kind's own module is not as this package knows it: the pinned version and the code differ."""
