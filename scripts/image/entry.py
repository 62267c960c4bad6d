#!/opt/venv/bin/python3 -P
"""`ansible-operator` in the image; see the Dockerfile for where things are."""

import sys

from runner.cli import main

sys.exit(main())
