#!/usr/bin/env bash
# Install what is missing and run the whole chain on the built-in dataset:
#   bash tools/quickstart.sh [--device cpu|cuda] [--seed N] [--work-dir FOLDER] [--smoke]
# The same command resumes an interrupted run.
set -euo pipefail
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$TOOLS/setup_env.sh"
exec "$MMP2SEG_PYTHON" "$TOOLS/quickstart.py" "$@"
