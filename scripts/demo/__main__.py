"""The main job, shown: an Echo becomes a Job whose Pod prints its message, a ScheduledEcho becomes a CronJob.
Or an operator of examples/.

With --cluster embedded a cluster is built and started if none is up, and stopped again at the end if this started it.
With --cluster kind it is a kind cluster, of this machine's docker or of an engine that runs for it alone.
With --cluster current the current kubeconfig context is used, after it was named. The echo operator's CRDs and samples
stay there; an example's are removed.
"""

import argparse
import signal
import sys

from scripts.demo.errors import DemoError
from scripts.demo.programme import ECHO, chosen
from scripts.demo.story import consequences, tell
from scripts.demo.targets import target


def main(arguments: list[str] | None = None) -> int:
    """Show one operator; 1 where that does not work out, 2 where there is no such example."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--cluster", choices=("embedded", "kind", "current"), default="embedded")
    parser.add_argument("--example", default="", help="a directory of examples/; empty: the echo operator")
    options = parser.parse_args(arguments)
    try:
        show = chosen(options.example) if options.example else ECHO
    except KeyError as error:
        print(f"demo: {error.args[0]}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with target(options.cluster, consequences(show)) as cluster:
            tell(show, cluster)
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; everything that was started is stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
