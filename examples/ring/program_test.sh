#!/usr/bin/env bash
# Runs the program as its users do. Argument: its path.
set -euo pipefail

fail() { echo "$*" >&2 && exit 1; }

[[ "$("$1" | tr '\n' ' ')" == "1 2 3 4 1 2 3 4 1 2 3 4 " ]] ||
  fail "four workers, three rounds: $("$1")"
[[ "$("$1" 2 1 | tr '\n' ' ')" == "1 2 " ]] || fail "two workers: $("$1" 2 1)"
[[ -z "$("$1" 2 0)" ]] || fail "no rounds: $("$1" 2 0)"
"$1" 100 20 | cmp - <(for _ in {1..20}; do seq 100; done) ||
  fail "a hundred workers"

for bad in 0 -1 four; do
  status=0
  "$1" "$bad" 2>/dev/null || status=$?
  [[ $status == 2 ]] || fail "$bad: exit status $status"
done
