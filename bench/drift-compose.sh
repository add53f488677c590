#!/usr/bin/env bash
# Measures what Docker Compose 2.40 makes of each manual change of tests/drift/catalogue.yaml, on the
# engine of this machine, and writes it to bench/drift-compose.txt, of which docs/drift.md is made.
set -euo pipefail
cd "$(dirname "$0")/.."
COMPOSE=${COMPOSE:-$(bench/get-compose.sh "${TMPDIR:-/tmp}/bowline-compose")}
export COMPOSE
BOWLINE_TEST_ENGINE=docker cargo test --locked --test drift what_compose_makes_of_each_row -- --ignored --nocapture
UPDATE_DOCS=1 cargo test --locked --test drift the_page
