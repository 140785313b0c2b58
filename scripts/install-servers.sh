#!/bin/sh
# Install MariaDB, Galera, PostgreSQL and Chromium for the integration tests, unless they are there. No service is needed: the tests
# start servers of their own. PostgreSQL comes as a Python wheel, too; the system's is the one that can encrypt.
set -eu

PATH="$PATH:/usr/sbin:/usr/local/sbin"
missing=
if ! command -v mariadbd >/dev/null || ! command -v mariadb-install-db >/dev/null || [ ! -e /usr/lib/galera/libgalera_smm.so ]; then
    missing="mariadb-server galera-4"
fi
if ! command -v postgres >/dev/null && ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    missing="$missing postgresql"
fi
command -v chromium >/dev/null || missing="$missing chromium" # it looks at the status page
[ -n "$missing" ] || exit 0
# RUNLEVEL=1: install the packages without starting their services. The names are words, hence no quotes.
RUNLEVEL=1 exec "$(dirname "$0")/apt-install.sh" $missing
