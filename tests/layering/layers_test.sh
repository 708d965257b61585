#!/usr/bin/env bash
# Arguments: the output of a query, the packages of this repository that may be
# in it, and the outside repositories or single targets that may be in it.
set -euo pipefail

labels="$1"
read -ra packages <<<"$2"
read -ra outside <<<"$3"

# "@@abseil-cpp~//absl/..." belongs to abseil-cpp, however Bazel spells it.
allowed="$(
  for package in "${packages[@]}"; do echo "^//${package}[:/]"; done
  for name in "${outside[@]}"; do
    case "$name" in
      *//*) echo "^@+${name/\/\//[~+]*\/\/}$" ;;
      *) echo "^@+${name}[~+]*//" ;;
    esac
  done
)"

# Fails if the query has found nothing, since nothing would be checked.
grep -q "^//${packages[0]}:${packages[0]}$" "$labels"

if grep -vE -f <(echo "$allowed") "$labels"; then
  echo "//${packages[0]} depends on the above, and may only on" \
    "${packages[*]:1} ${outside[*]}"
  exit 1
fi
