#!/usr/bin/env bash
# The bench, so small that it only shows that every scenario works and loses nothing. TAP; no figure is judged.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
exec tests/bench/run "${TELEMED_BUILD:-build/gcc}" --smoke
