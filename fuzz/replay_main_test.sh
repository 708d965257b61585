#!/usr/bin/env bash
# Arguments: a program with replay_main as its main, over
# replay_main_testdata/target.cc.
set -euo pipefail

replay="$1"
work="$TEST_TMPDIR/corpora"
said="$TEST_TMPDIR/said"
mkdir -p "$work"/{none,some/deeper,bug}
printf 'a' >"$work/some/one"
printf 'b\0\377' >"$work/some/three"
: >"$work/some/nothing"
printf '12345' >"$work/some/deeper/five"
printf 'bug!' >"$work/bug/found"

fail() {
  echo "$*; it said:"
  cat "$said"
  exit 1
}

# Arguments: the expected exit status, and the arguments of the program.
run() {
  local expected="$1" status=0
  shift
  "$replay" "$@" >"$said" 2>&1 || status=$?
  [[ $status == "$expected" ]] || fail "$* gave $status, not $expected"
}
says() { grep -qxF -- "$1" "$said" || fail "it does not say: $1"; }

run 0
says "target: 1 inputs, 0 bytes"

# Each file below a folder runs once, with its bytes unchanged.
run 0 "$work/some"
says "target: 5 inputs, 9 bytes"
for file in one three nothing deeper/five; do
  grep -qF "replay: $work/some/$file (" "$said" || fail "$file was not run"
done

run 0 "$work/some/one" "$work/some/deeper"
says "target: 3 inputs, 6 bytes"

# A missing corpus fails the test, even if another one exists.
run 1 "$work/none" "$work/some"
says "replay: no input in $work/none"
run 1 "$work/some" "$work/lost"
says "replay: No such file or directory $work/lost"

# Under the sanitizers, a signal gives another exit status.
"$replay" "$work/some" "$work/bug" >"$said" 2>&1 && fail "no crash"
grep -F "replay: " "$said" | tail -n 1 |
  grep -qF "replay: $work/bug/found (4 bytes)" || fail "the crash has no name"

run 2 -runs=1
