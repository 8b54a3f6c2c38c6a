#!/usr/bin/env bash
# Benchmarks: run.sh [state | nexmark [EVENTS] | {ingest | read | latency | growth} [OPTIONS]]. Figures are only worth something as ratios within one run.
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
ingest | read | latency | growth)
    ninja -C build --quiet pg_client
    /usr/bin/python3 -B "tests/bench/$what.py" "${@:2}"
    ;;
*)
    echo "usage: ./dev bench [state | nexmark [EVENTS] | {ingest | read | latency | growth} [OPTIONS]]" >&2
    exit 2
    ;;
esac
