"""`python -m bench.cli`: the command where the script `bench` is not on the path."""

import sys

from bench.cli import main

sys.exit(main())
