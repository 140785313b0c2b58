"""`python -m aioclustersql.cli`: the command line without its script."""

import sys

from .entry import main

sys.exit(main())
