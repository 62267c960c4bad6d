"""CPU and memory from /proc: what counts for whom."""

import os
import subprocess
import sys

from bench.processes import Usage, cpu_below, cpu_of, memory_of, warm_parent_of

_BURN = "import time\nwhile time.process_time() < 0.3: pass\n"


def test_a_name_with_brackets_and_blanks_does_not_shift_the_fields() -> None:
    fields = ["S", "1", *["0"] * 9, "100", "200", "300", "400", *["0"] * 30]
    usage = Usage.parse(f"42 (a) b (c)) {' '.join(fields)}")
    assert (usage.own_s, usage.children_s, usage.total_s) == (3.0, 7.0, 10.0)


def test_cpu_below_counts_children_that_live_and_those_that_have_ended() -> None:
    """A run that has ended is in its parent's count; a warm parent lives on. Neither may be lost or counted twice."""
    nested = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {_BURN!r}]); print('done', flush=True); input()"
    )
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"done\n"
        below = cpu_below(parent.pid)
        assert 0.25 < below < 1.5
        assert cpu_of(parent.pid).children_s == below
        parent.communicate(b"\n")


def test_memory_has_a_peak_that_is_no_less_than_what_is_resident_now() -> None:
    waits = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        # A program that has only just been started has nothing resident, and has it a moment later.
        assert child.stdout.readline() == b"up\n"
        memory = memory_of(child.pid)
        assert 0 < memory.rss_mb <= memory.peak_rss_mb
        assert 0 < memory.pss_mb <= memory.peak_rss_mb
        child.communicate(b"\n")


def test_only_a_direct_child_is_a_warm_parent() -> None:
    """Its forks have its command line."""
    grandchild = [sys.executable, "-c", "print('up', flush=True); input()", "runner.execution.warm.forkserver"]
    code = f"import subprocess; subprocess.run({grandchild!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        # This child's own command line holds the name too, in the code that it was given.
        assert warm_parent_of(os.getpid()) == child.pid
        assert warm_parent_of(child.pid) not in (None, child.pid)
        child.communicate(b"\n")
