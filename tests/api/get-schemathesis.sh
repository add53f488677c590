#!/usr/bin/env bash
# Installs schemathesis into a virtual environment in the directory given, unless it is there, and prints
# the path of the program: SCHEMATHESIS=$(tests/api/get-schemathesis.sh DIRECTORY) cargo test --test api
set -euo pipefail
version=4.32.5
into=${1:-/var/tmp/bowline-schemathesis}
if [ "$("$into/bin/schemathesis" --version 2>/dev/null | grep -o '[0-9.]*$')" != "$version" ]; then
    rm -rf "$into"
    python3 -m venv "$into" >&2
    "$into/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" >&2
fi
echo "$into/bin/schemathesis"
