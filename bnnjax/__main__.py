"""`python -m bnnjax`."""

import sys

from bnnjax.cli import main

sys.exit(main())
