"""`python -m runner` is `ansible-operator`."""

from runner.cli import main

raise SystemExit(main())
