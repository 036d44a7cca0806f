#!/usr/bin/env bash
# Install what is missing and build the site of docs/; a warning fails the build:
#   bash tools/build_docs.sh [FOLDER; default: docs/_build]
# Then open FOLDER/index.html.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/setup_env.sh
exec "$MMP2SEG_PYTHON" -m sphinx --fail-on-warning --keep-going --quiet -b html docs "${1:-docs/_build}"
