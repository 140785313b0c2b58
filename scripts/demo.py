"""Starts the demo, for `make demo`, so that Ctrl-C is quiet from the first moment: also while the library is being imported.

What the demo does at a signal is its own affair, as soon as it runs; `python -m aioclustersql.demo` is the demo without this.
"""

import os
import signal
import sys

# Not `except KeyboardInterrupt`: an import can turn one into another exception, or print it and go on.
signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))  # nothing was started that would have to be stopped

from aioclustersql.demo.__main__ import main  # noqa: E402 - that is what takes the time

sys.exit(main())
