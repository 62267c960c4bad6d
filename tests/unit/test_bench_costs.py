"""What a span of time cost, and for each reconcile."""

from bench.costs import Snapshot, Spent


def test_a_span_is_the_difference_of_two_instants_and_shared_out_to_its_reconciles() -> None:
    before = Snapshot(at=10, runtime_s=1, ansible_s=2, api_server_s=3, etcd_s=4)
    after = Snapshot(at=14, runtime_s=2, ansible_s=5, api_server_s=5, etcd_s=4.5)
    spent = after.since(before)
    assert spent == Spent(seconds=4, runtime_s=1, ansible_s=3, api_server_s=2, etcd_s=0.5)
    assert spent.figures(4) == {
        "cpu_per_reconcile_s": 1.0,
        "runtime_cpu_per_reconcile_s": 0.25,
        "ansible_cpu_per_reconcile_s": 0.75,
        "api_server_cpu_per_reconcile_s": 0.5,
        "etcd_cpu_per_reconcile_s": 0.125,
    }
