#!/usr/bin/env bash
# A folder includes itself and what stands to its right in: server -> planner -> executor -> protocol -> storage.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
order=(server planner executor protocol storage)
bad=0
for i in "${!order[@]}"; do
    for ((left = 0; left < i; left++)); do
        if grep -rnE "#include [\"<]${order[$left]}/" --include='*.c' --include='*.h' "${order[$i]}/"; then
            echo "check_includes: ${order[$i]}/ must not include ${order[$left]}/" >&2
            bad=1
        fi
    done
done
exit $bad
