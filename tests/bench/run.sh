#!/usr/bin/env bash
# Benchmarks: see the usage below. Figures are only worth something as ratios within one run.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
what=${1:-all}
case $what in
kernel | all)
    ninja -C build --quiet bench_kernel
    /usr/bin/python3 -B tests/bench/kernel.py build/bench_kernel "${@:2}"
    ;;&
nexmark | all)
    /usr/bin/python3 -B tests/bench/nexmark.py build/millrace "${@:2}"
    ;;
nexmark-table)
    /usr/bin/python3 -B tests/bench/nexmark_table.py "${@:2}"
    ;;
durability)
    /usr/bin/python3 -B tests/bench/durability.py build/millrace "${@:2}"
    ;;
kafka)
    /usr/bin/python3 -B tests/bench/kafka_ingest.py build/millrace "${@:2}"
    ;;
kernel) ;;
ingest | read | latency | growth)
    ninja -C build --quiet pg_client
    /usr/bin/python3 -B "tests/bench/$what.py" "${@:2}"
    ;;
*)
    echo "usage: ./dev bench [kernel [NAME ...] [OPTIONS] | nexmark [QUERY ...] [OPTIONS] | nexmark-table FILE ... | durability [OPTIONS] | kafka [OPTIONS] | {ingest | read | latency | growth} [OPTIONS]]" >&2
    exit 2
    ;;
esac
