"""What can go wrong with a kind cluster, as exceptions. Their text is for a person."""

from cluster.errors import ClusterError, with_output


class KindRefusedError(ClusterError):
    """This machine can't have a kind cluster now; the text is a sentence that says why and what helps."""


class StepFailedError(ClusterError):
    """A program that was run for a step failed: `step` is what it was for, `output` all it said."""

    def __init__(self, step: str, output: str) -> None:
        super().__init__(step, output)
        self.step = step
        self.output = output

    def __str__(self) -> str:
        return with_output(f"{self.step} failed; it said last:", self.output)


class UnexpectedSourceError(ClusterError):
    """A file of kind's own module is not as this package knows it: the pinned version and the code differ."""
