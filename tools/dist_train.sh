#!/usr/bin/env bash
# Train in several processes on one or more machines:
#   bash tools/dist_train.sh CONFIG PROCESSES [options of train.py]
# PROCESSES is the number on this machine: one per GPU, or CPU processes without CUDA devices.
# Environment: PORT, NNODES, NODE_RANK, MASTER_ADDR, PYTHON.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo 'usage: bash tools/dist_train.sh CONFIG PROCESSES [options of train.py]' >&2
    exit 2
fi
CONFIG=$1
PROCESSES=$2
TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

PYTHONPATH="$TOOLS/..${PYTHONPATH:+:$PYTHONPATH}" \
    exec "${PYTHON:-python}" -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$PROCESSES" \
    "$TOOLS/train.py" "$CONFIG" --launcher pytorch "${@:3}"
