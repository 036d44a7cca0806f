#!/usr/bin/env bash
# Test in several processes on one or more machines:
#   bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of test.py]
# PROCESSES is the number on this machine: one per GPU, or CPU processes without CUDA devices.
# Environment: PORT, NNODES, NODE_RANK, MASTER_ADDR, PYTHON.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo 'usage: bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [options of test.py]' >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
PROCESSES=$3
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" \
    exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$PROCESSES" \
    "$TOOLS/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
