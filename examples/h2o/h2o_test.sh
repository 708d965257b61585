#!/usr/bin/env bash
# Runs the program as its users do. Argument: its path.
set -euo pipefail

fail() { echo "$*" >&2 && exit 1; }

for molecules in 100 1 0; do
  letters="$("$1" "$molecules")"
  [[ ${#letters} == $((3 * molecules)) ]] ||
    fail "$molecules molecules have ${#letters} letters"
  for ((i = 0; i < ${#letters}; i += 3)); do
    [[ ${letters:i:3} =~ ^(HHO|HOH|OHH)$ ]] ||
      fail "no molecule: ${letters:i:3} at $i of $letters"
  done
done
letters="$("$1")"
[[ ${#letters} == 300 ]] || fail "by default there are ${#letters} letters"

for bad in -1 water; do
  status=0
  "$1" "$bad" 2>/dev/null || status=$?
  [[ $status == 2 ]] || fail "$bad: exit status $status"
done
