#!/bin/sh
# Install MariaDB and Galera for the integration tests, unless they are there. No service is needed: the tests start
# servers of their own. PostgreSQL comes as a Python wheel, with the tests' other dependencies.
set -eu

PATH="$PATH:/usr/sbin:/usr/local/sbin"
if command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null && [ -e /usr/lib/galera/libgalera_smm.so ]; then
    exit 0
fi
exec "$(dirname "$0")/apt-install.sh" mariadb-server galera-4
