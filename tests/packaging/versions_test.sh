#!/usr/bin/env bash
# Arguments: MODULE.bazel, tools/setup.sh, and name=version of every dependency
# in bazel/deps.bzl.
set -euo pipefail

module="$1"
setup="$2"
shift 2

# Expects one bazel_dep per line, as in MODULE.bazel.
in_module="$(
  sed -nE '/dev_dependency/d
    s/^bazel_dep\(name = "([^"]*)", version = "([^"]*)"\)$/\1=\2/p' "$module" |
    sort
)"
in_deps="$(printf '%s\n' "$@" | sort)"
diff <(echo "$in_module") <(echo "$in_deps") || {
  echo "MODULE.bazel (<) and bazel/deps.bzl (>) disagree"
  exit 1
}

# The version that a machine without a registry builds with.
abseil="$(sed -n 's/^readonly abseil_version=//p' "$setup")"
grep -qxF "abseil-cpp=$abseil" <<<"$in_deps" || {
  echo "tools/setup.sh has Abseil $abseil, bazel/deps.bzl another"
  exit 1
}
