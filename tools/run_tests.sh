#!/usr/bin/env bash
# Install what is missing and run the tests:
#   bash tools/run_tests.sh [arguments of pytest; default: tests/]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh
if [ $# -eq 0 ]; then
    set -- tests
fi
exec "$MMP2SEG_PYTHON" -m pytest "$@"
