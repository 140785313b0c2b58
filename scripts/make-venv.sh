#!/bin/sh
# Make a virtual environment with a pip that knows dependency groups, as in `make-venv.sh python3 .venv`.
set -eu
python=$1 venv=$2

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "$python is not Python 3.11 or newer; name one that is: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi
# Debian keeps these two in a package of their own.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    "$(dirname "$0")/apt-install.sh" python3-venv
fi
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
