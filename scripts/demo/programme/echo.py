"""The echo operator itself."""

from typing import Any

from scripts.demo.shows import Await, Needs, Objects, Output, Owners, Show
from scripts.demo.targets import ROOT

__all__ = ["ECHO"]


def _ended(echo: dict[str, Any]) -> bool:
    return ((echo.get("status") or {}).get("job") or {}).get("state") in {"Complete", "Failed"}


ECHO = Show(
    name="echo",
    project=ROOT,
    crds=("echos.mmontes.io", "scheduledechos.mmontes.io"),
    images=("RELATED_IMAGE_ECHO",),
    arguments=("--env-compat=echoperator",),
    samples="two resources",
    namespace="default",
    stays=True,
    steps=(
        Await(what="the Job of Echo hello-world", kind="job", name="hello-world"),
        Await(what="the CronJob of ScheduledEcho hello-world-scheduled", kind="cronjob", name="hello-world-scheduled"),
        Await(
            what="the Pod, and the status that tells of it",
            kind="echo.mmontes.io",
            name="hello-world",
            until=_ended,
            needs=Needs.NODE,
        ),
        Output(
            title="what the Pod printed",
            arguments=("logs", "job/hello-world"),
            expected="Hola, 世界!\n",
            needs=Needs.NODE,
        ),
        Objects(
            title="status",
            kinds="echos.mmontes.io,scheduledechos.mmontes.io",
            conditions_of=("echo.mmontes.io", "hello-world"),
        ),
        Owners(
            kinds="jobs,cronjobs,pods",
            of=(("echo.mmontes.io", "hello-world"), ("scheduledecho.mmontes.io", "hello-world-scheduled")),
        ),
    ),
)
