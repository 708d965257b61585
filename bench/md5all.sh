#!/usr/bin/env bash
#
# Measures examples/md5all against
#   find DIR -type f -print0 | xargs -0 -P2 md5sum
# on a tree of many small files and on one of a few large ones, both in the page
# cache. The two take turns; a median below 1.00 means that md5all is faster.
#
#   bench/md5all.sh [--rounds N] [--small DIR] [--large DIR]
#
#   --rounds N   measured runs of each, at least 7 (default 11)
#   --small DIR  measure on DIR instead of 20,000 files of up to 8 KiB
#   --large DIR  measure on DIR instead of 4 files of 256 MiB
#
# Builds md5all with optimization first; $MD5ALL names a binary to measure
# instead.

set -euo pipefail

die() {
  printf 'md5all.sh: error: %s\n' "$*" >&2
  exit 1
}
usage() {
  sed -n '3,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

rounds=11
small=
large=
while [[ $# != 0 ]]; do
  [[ $# -ge 2 ]] || usage
  case "$1" in
    --rounds) rounds="$2" ;;
    --small) small="$2" ;;
    --large) large="$2" ;;
    *) usage ;;
  esac
  shift 2
done
[[ "$rounds" =~ ^[0-9]+$ && "$rounds" -ge 7 ]] || usage
for dir in "$small" "$large"; do
  [[ -z "$dir" || -d "$dir" ]] || die "$dir is not a directory"
done

for tool in awk cmp find head md5sum mktemp nproc sort split uname xargs; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done
[[ -n "${EPOCHREALTIME-}" ]] || die "this needs bash 5"

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
md5all="${MD5ALL-}"
if [[ -z "$md5all" ]]; then
  bazel=bazel
  command -v "$bazel" >/dev/null || bazel=bazelisk
  command -v "$bazel" >/dev/null ||
    die "neither bazel nor bazelisk is installed: run tools/setup.sh"
  (cd "$root/examples" && "$bazel" build -c opt --noshow_progress //md5all) \
    </dev/null >&2 || die "md5all could not be built"
  bin="$(cd "$root/examples" && "$bazel" info -c opt bazel-bin 2>/dev/null)"
  md5all="$bin/md5all/md5all"
fi
[[ -x "$md5all" ]] || die "$md5all is not a program"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

if [[ -z "$small" ]]; then
  small="$work/small"
  for ((i = 0; i < 200; ++i)); do
    dir="$small/directory$i"
    size=$((i * 8192 / 199 + 1))
    mkdir -p "$dir"
    head -c $((size * 100)) /dev/urandom |
      split -b "$size" -d -a 2 - "$dir/file"
  done
fi
if [[ -z "$large" ]]; then
  large="$work/large"
  mkdir "$large"
  for i in 1 2 3 4; do head -c 256M /dev/urandom >"$large/file$i"; done
fi

ours() { "$md5all" "$1"; }
theirs() { find "$1" -type f -print0 | xargs -0 -r -P2 md5sum; }

# Prints the seconds that a command takes.
seconds() {
  local begin="$EPOCHREALTIME"
  "$@" >"$work/output"
  awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.4f\n", b - a }'
}

# Prints the median of the numbers in a file.
median() {
  sort -g "$1" | awk '
    { v[NR] = $1 }
    END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

measure() {
  local name="$1" dir="$2" files round
  # Fills the page cache, and checks that both do the same work.
  ours "$dir" >"$work/ours" || die "md5all failed on $dir"
  theirs "$dir" | LC_ALL=C sort >"$work/theirs" || die "md5sum failed on $dir"
  LC_ALL=C sort "$work/ours" | cmp -s - "$work/theirs" ||
    die "md5all and md5sum do not agree on $dir"
  files="$(wc -l <"$work/ours")"
  rm -f "$work/ours.s" "$work/theirs.s"
  for ((round = 0; round < rounds; ++round)); do
    seconds ours "$dir" >>"$work/ours.s"
    seconds theirs "$dir" >>"$work/theirs.s"
  done
  printf '%-6s %8d %10.3f s %12.3f s %8.2f\n' "$name" "$files" \
    "$(median "$work/ours.s")" "$(median "$work/theirs.s")" \
    "$(paste "$work/ours.s" "$work/theirs.s" |
      awk '{ print $1 / $2 }' >"$work/ratios" && median "$work/ratios")"
}

echo "$(nproc) cores, $(uname -srm), $(md5sum --version | head -n 1);" \
  "medians of $rounds rounds"
printf '%-6s %8s %12s %14s %8s\n' tree files md5all "xargs md5sum" ratio
measure small "$small"
measure large "$large"
