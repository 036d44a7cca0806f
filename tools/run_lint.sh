#!/usr/bin/env bash
# Set up what is missing and run all linters; fails if one of them fails:
#   bash tools/run_lint.sh
# MMP2SEG_PYTHON: an interpreter that has requirements/lint.txt and torch; then nothing is set up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -z "${MMP2SEG_PYTHON:-}" ]; then
    MMP2SEG_LINT=1 source tools/setup_env.sh
fi

failed=()

# lint NAME ARGUMENT...: run a linter's module and note a failure
lint() {
    echo "lint: $*"
    "$MMP2SEG_PYTHON" -m "$@" || failed+=("$*")
}

lint ruff check .
lint ruff format --check .
lint codespell_lib
lint mypy

if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint: FAILED: %s\n' "${failed[@]}"
    exit 1
fi
echo 'lint: no findings'
