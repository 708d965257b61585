#!/usr/bin/env bash
# Checks that the page matches what the search finds.
set -euo pipefail
if ! diff -u "$2" <("$1"); then
  echo "$2 is out of date: run tools/specimens" >&2
  exit 1
fi
