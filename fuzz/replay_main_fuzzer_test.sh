#!/usr/bin/env bash
# Arguments: the search over replay_main_testdata/target.cc, the replay, and the
# dictionary.
set -euo pipefail

fuzzer="$1"
replay="$2"
dict="$3"
# The same as the macro sets for `bazel run`.
export TSAN_OPTIONS="${TSAN_OPTIONS-}:report_signal_unsafe=0"
found="$TEST_TMPDIR/found"

# Four bytes cannot be found without the guidance of coverage.
if "$fuzzer" -seed=1 -runs=1000000 -max_len=8 -exact_artifact_path="$found"; then
  echo "the fuzzer found nothing"
  exit 1
fi
[[ "$(head -c 4 "$found")" == 'bug!' ]]

if "$replay" "$found"; then
  echo "the replay does not die of what the fuzzer found"
  exit 1
fi

# Checks that both dictionaries given to the macro have arrived.
[[ "$(sort "$dict")" == $'"!"\n"ug"' ]]
