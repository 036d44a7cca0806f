#!/usr/bin/env bash
# Install what is missing and run the tests:
#   bash tools/run_tests.sh [arguments of pytest]
# Without arguments, all tests run but the slow ones (-m slow), in a process per core, at most four.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh
if [ $# -eq 0 ]; then
    set -- tests -n logical --maxprocesses 4 --dist loadfile
    export OMP_NUM_THREADS=1 # the processes share the cores
fi
exec "$MMP2SEG_PYTHON" -m pytest "$@"
