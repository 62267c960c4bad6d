"""Progress: a bar where somebody looks, few lines elsewhere."""

import io

from bench.progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_there_is_a_line_at_each_tenth_and_no_more() -> None:
    stream = io.StringIO()
    bar = Bar("done", 1000, stream)
    for count in range(1001):
        bar.show(count)
    assert stream.getvalue().splitlines() == [f"  done {count}/1000" for count in range(0, 1001, 100)]


def test_a_terminal_has_one_line_that_ends_when_all_is_done() -> None:
    stream = Terminal()
    bar = Bar("done", 2, stream)
    for count in (0, 1, 1, 2, 5):
        bar.show(count)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().count("\r") == 3
    assert stream.getvalue().endswith("] 2/2\n")
