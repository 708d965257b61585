#!/usr/bin/env bash
# Judges the log of a compile_fail_test; compile_fail_test.bzl fills in the parts
# in double braces.
set -euo pipefail

log='{{LOG}}'
expect='{{EXPECT}}'

fail() {
  echo "$1; the compiler said:"
  cat "$log"
  exit 1
}

[[ -n "$expect" ]] || fail "an empty expect matches anything"
case "$(head -n 1 "$log")" in
  "exit status 0") fail "it compiles" ;;
  # A compiler that does not start (126, 127) or is killed has not judged the
  # file.
  "exit status "[1-9] | "exit status "[1-9][0-9]) ;;
  *) fail "the compiler broke down" ;;
esac
# Leaves out the compiler's excerpts of the file, which prove nothing.
tail -n +2 "$log" | grep -vE '^ *[0-9]* \| ' | grep -qE -e "$expect" ||
  fail "it does not compile, but no line matches: $expect"
