#!/usr/bin/env bash
# Arguments: what must be there, as patterns of files, and after -- the packages
# that the table of README.md must have a row for.
set -euo pipefail

missing=()
while [[ $1 != -- ]]; do
  [[ -n "$(compgen -G "$1")" ]] || missing+=("$1")
  shift
done
shift
for package in "$@"; do
  grep -q "^|.*\`//$package\`" README.md ||
    missing+=("README.md: a row with \`//$package\`")
done

if ((${#missing[@]} > 0)); then
  echo "what packages of bazel/layers.bzl have, and these have not yet:"
  printf '  %s\n' "${missing[@]}"
  exit 1
fi
