"""`python -m bnnjax`."""

import sys

from bnnjax.cli import program

sys.exit(program())
