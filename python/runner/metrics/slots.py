"""How the slots that all kinds share are used. Names are our own, after controller-runtime's for one controller."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

from runner.slots import Slots

__all__ = ["follow"]


def follow(slots: Slots, registry: CollectorRegistry) -> None:
    """Show the slots as they are at each scrape."""

    def show(name: str, text: str, read: Callable[[], float]) -> None:
        Gauge(f"ansible_operator_{name}", text, registry=registry).set_function(read)

    show("max_concurrent_runs", "Reconciles that may go on at once, of all kinds together", lambda: slots.limit)
    show("active_workers", "Reconciles that go on, of all kinds together", lambda: slots.in_use)
    show("waiting_workers", "Kinds that have an object to look at and wait for their turn", lambda: slots.waiting)
