#!/bin/sh
# Print the path of a Python of the wanted version, as in `find-python.sh 3.12`; pyenv's are found as well.
set -eu

for python in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
    # A shim of pyenv may exist and not run: only an answer counts.
    if path=$("$python" -c 'import sys; print(sys.executable)' 2>/dev/null); then
        echo "$path"
        exit 0
    fi
done
exit 1
