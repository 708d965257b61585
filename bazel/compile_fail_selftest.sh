#!/usr/bin/env bash
# Arguments: the two compile_fail_tests that must themselves fail.
set -euo pipefail

expect_failure() {
  local said
  if said="$("$1" 2>&1)"; then
    echo "$1 passed, and should have failed"
    exit 1
  fi
  grep -qF "$2" <<<"$said" || {
    echo "$1 failed for another reason: $said"
    exit 1
  }
}

expect_failure "$1" "it compiles"
expect_failure "$2" "no line matches: return Twice"
