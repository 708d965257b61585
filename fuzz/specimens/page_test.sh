#!/usr/bin/env bash
# The page says what the search finds today.
set -euo pipefail
if ! diff -u "$2" <("$1"); then
  echo "$2 is out of date: run tools/specimens" >&2
  exit 1
fi
