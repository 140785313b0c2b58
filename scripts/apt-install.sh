#!/bin/sh
# Install Debian packages without a question: as root, or with sudo.
set -eu

if ! command -v apt-get >/dev/null; then
    echo "Please install these by hand, there is no apt-get here: $*" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null; then
    sudo=sudo
else
    echo "Please run as root, there is no sudo here: apt-get install --no-install-recommends $*" >&2
    exit 1
fi

$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL="${RUNLEVEL-}" apt-get install -q -y --no-install-recommends "$@"
