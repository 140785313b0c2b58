"""`python -m aioclustersql.demo`: quiet at Ctrl-C from the first moment, also while the rest is being imported."""

import os
import signal
import sys

# Not `except KeyboardInterrupt`: an import can turn one into another exception, or print it and go on.
signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))  # nothing was started that would have to be stopped

from .command import main  # noqa: E402 - that is what takes the time

sys.exit(main())
