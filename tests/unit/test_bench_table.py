"""Tables for people."""

from bench import table
from bench.measurement import Measurement

WARM = Measurement(
    scenario="create-onetask",
    variant="warm",
    count=1000,
    workers=2,
    figures={"cpu_per_reconcile_s": 0.05, "reconciles_per_s": 12.345},
)
PLAIN = Measurement(scenario="create-onetask", variant="plain", count=30, workers=2, figures={"reconciles_per_s": 1.0})


def test_a_block_has_a_column_a_path_and_the_goals_beside_them() -> None:
    """In the order of the figures' table, whatever the order of measuring; a figure that a path lacks stays empty."""
    label, values = " " * 35, " " * 23
    assert table.block("one task", [WARM, PLAIN]).splitlines() == [
        "one task",
        f"{label}  warm (1,000; 2 at once)  plain (30; 2 at once)  must       aim        reached",
        "-" * 126,
        f"reconciles per second{label[21:]}  12.35{values[5:]}  1.00{' ' * 17}  ≥ 10.00    ≥ 20.00    warm must, plain no",
        f"CPU per reconcile, operator and run  0.050 s{values[7:]}  {' ' * 21}  ≤ 0.120 s  ≤ 0.060 s  warm aim",
    ]


def test_the_summary_has_only_goals_that_were_measured() -> None:
    lines = table.summary([PLAIN]).splitlines()
    assert lines[0].split() == ["goals", "measured", "must", "aim", "reached"]
    assert lines[2:] == ["create-onetask  reconciles per second  plain 1.00  ≥ 10.00  ≥ 20.00  plain no"]
    other = Measurement(scenario="edit-storm", variant="warm", count=1, workers=1, figures={"runs": 3})
    assert table.summary([other]) == ""
