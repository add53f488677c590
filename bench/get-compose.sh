#!/usr/bin/env bash
# Unpacks Debian sid's docker-compose into the directory given, without installing anything, and
# prints the path of the program: COMPOSE=$(bench/get-compose.sh /tmp/compose) cargo bench
set -euo pipefail
into=$(mkdir -p "${1:?usage: get-compose.sh DIRECTORY}" && cd "$1" && pwd)
mkdir -p "$into/lists/partial" "$into/cache/archives/partial"
echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian sid main' >"$into/sources.list"
options=(-o "Dir::Etc::SourceList=$into/sources.list" -o Dir::Etc::SourceParts=/nonexistent
    -o "Dir::State::Lists=$into/lists" -o "Dir::Cache=$into/cache")
cd "$into"
apt-get "${options[@]}" update -qq >&2
apt-get "${options[@]}" download -qq docker-compose >&2
dpkg -x docker-compose_*.deb "$into/root"
find "$into/root" -type f -name docker-compose | head -n 1
