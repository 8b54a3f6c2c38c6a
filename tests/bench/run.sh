#!/usr/bin/env bash
# Benchmarks: run.sh [state | nexmark [EVENTS]]. Figures are only worth something as ratios within one run.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
what=${1:-all}
case $what in
state | all)
    ninja -C build --quiet bench_state
    build/bench_state
    ;;&
nexmark | all)
    /usr/bin/python3 -B tests/server/nexmark_test.py build/millrace --events "${2:-1000000}"
    ;;
state) ;;
*)
    echo "usage: ./dev bench [state | nexmark [EVENTS]]" >&2
    exit 2
    ;;
esac
