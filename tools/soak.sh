#!/usr/bin/env bash
#
# Searches for bugs for a given time: runs every fuzz target with
# AddressSanitizer, and every stress test with ThreadSanitizer, one after the
# other, with an equal share of the time for each.
#
#   tools/soak.sh [OPTION...] [DURATION]    30s, 10m (the default), 2h
#
#   --keep-nothing   leave the corpora in fuzz/ as they are
#   --seed=N         the random seed; by default the time of the run
#
# Inputs that reach more code than the corpus did are added to the corpus.
# Failures and their logs go into soak/, which git ignores. The exit status is 1
# if anything failed. Further flags for Bazel are taken from $BAZEL_FLAGS.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root="$PWD"

# A round of a stress test takes seconds, an input milliseconds. One that takes
# this long hangs.
readonly round_limit=600 input_limit=60

say() { printf 'soak: %s\n' "$*"; }
die() {
  printf 'soak: %s\n' "$*" >&2
  exit 2
}
usage() { sed -n '3,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

seconds_of() {
  [[ "$1" =~ ^([0-9]{1,6})([smh])$ ]] || die "$1 is no duration such as 30s"
  case "${BASH_REMATCH[2]}" in
    s) echo "$((10#${BASH_REMATCH[1]}))" ;;
    m) echo "$((10#${BASH_REMATCH[1]} * 60))" ;;
    h) echo "$((10#${BASH_REMATCH[1]} * 3600))" ;;
  esac
}

keep=true
duration=10m
seed="$(date +%s)"
for arg in "$@"; do
  case "$arg" in
    --keep-nothing) keep=false ;;
    --seed=*) seed="${arg#*=}" ;;
    --help | -h) usage && exit 0 ;;
    -*) usage >&2 && exit 2 ;;
    *) duration="$arg" ;;
  esac
done
[[ "$seed" =~ ^[0-9]{1,10}$ && $((10#$seed)) -lt 2000000000 ]] ||
  die "--seed=$seed is no number below 2,000,000,000"
seed=$((10#$seed))
total="$(seconds_of "$duration")"

tools/setup.sh --quiet </dev/null
bazel=bazel
command -v "$bazel" >/dev/null || bazel=bazelisk
read -ra flags <<<"${BAZEL_FLAGS-}"

work="$(mktemp -d)"
rows=()
findings=0
finish() {
  local status=$?
  rm -rf "$work"
  if [[ ${#rows[@]} != 0 ]]; then
    printf '\n%-38s %7s %12s %11s %8s\n' target seconds \
      "runs" "new entries" findings
    printf '%s\n' "${rows[@]}"
    if [[ $findings == 0 ]]; then
      printf '\nnothing found\n'
    else
      printf '\n%d found: see %s\n' "$findings" "$root/soak"
    fi
  fi
  if [[ $status == 0 && $findings != 0 ]]; then exit 1; fi
}
trap finish EXIT

row() { rows+=("$(printf '%-38s %7d %12s %11s %8d' "$@")"); }

# --- The targets ------------------------------------------------------------

tagged() { "$bazel" query --noshow_progress "$1" 2>"$work/log" || broken; }
broken() {
  cat "$work/log" >&2
  die "Bazel failed"
}

tagged 'attr(tags, "\bfuzz-test\b", //...) except
  attr(tags, "\bplanted\b", //...)' >"$work/fuzz_tests"
tagged 'attr(tags, "\bstress\b", //...)' >"$work/stress_tests"
mapfile -t fuzz_tests <"$work/fuzz_tests"
mapfile -t stress_tests <"$work/stress_tests"
count=$((${#fuzz_tests[@]} + ${#stress_tests[@]}))
[[ ${#fuzz_tests[@]} != 0 && ${#stress_tests[@]} != 0 ]] || die "no targets"
slot=$((total / count))
[[ $slot != 0 ]] || slot=1

say "building ${#fuzz_tests[@]} fuzz targets and ${#stress_tests[@]} stress tests"
build() {
  "$bazel" build --noshow_progress "$@" "${flags[@]}" >"$work/log" 2>&1 ||
    broken
}
readonly fuzz_config=(--config=fuzz --config=asan)
build "${fuzz_config[@]}" "${fuzz_tests[@]/%/_fuzzer}"
# Each script runs a target as `bazel run` would: with its environment and
# arguments.
for test in "${fuzz_tests[@]}"; do
  "$bazel" run --noshow_progress "${fuzz_config[@]}" "${flags[@]}" \
    --script_path="$work/${test##*:}" "${test}_fuzzer" >"$work/log" 2>&1 ||
    broken
done
build --config=tsan "${stress_tests[@]}"
stress_bin="$("$bazel" info --noshow_progress --config=tsan "${flags[@]}" \
  bazel-bin 2>/dev/null)"

symbolizer="$(command -v llvm-symbolizer-19 || command -v llvm-symbolizer ||
  true)"
if [[ -n "$symbolizer" ]]; then
  export ASAN_SYMBOLIZER_PATH="$symbolizer" TSAN_SYMBOLIZER_PATH="$symbolizer"
fi
# The same as in .bazelrc for `bazel test`.
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1

# --- The runs ---------------------------------------------------------------

# Prints the folder for the log of a target and the files that it leaves.
folder_for() {
  local folder="$root/soak/${1##*:}"
  mkdir -p "$folder"
  echo "$folder"
}

found() {
  findings=$((findings + 1))
  say "FOUND: $1; see $2"
  tail -n 30 "$3"
}

entries() { find "$1" -type f | wc -l; }

fuzz() {
  local test="$1" name="${1##*:}" package="${1#//}" begin=$SECONDS bad=0
  package="${package%%:*}"
  local folder corpus="$root/$package/corpus/$name" fresh="$work/fresh"
  folder="$(folder_for "$test")"
  local log="$folder/log"
  rm -rf "$fresh"
  mkdir "$fresh"
  if $keep; then
    mkdir -p "$corpus"
  else
    mkdir "$work/corpus"
    [[ ! -d "$corpus" ]] || cp -r "$corpus/." "$work/corpus"
    corpus="$work/corpus"
  fi

  # libFuzzer prints a line each time the number of its runs has doubled.
  "$work/$name" -seed="$seed" -max_total_time="$slot" -timeout="$input_limit" \
    -report_slow_units="$input_limit" -print_final_stats=1 \
    -artifact_prefix="$folder/" "$fresh" "$corpus" 2>&1 </dev/null |
    tee "$log" | { grep --line-buffered -E '^#[0-9]+.*(INITED|pulse)' || true; } ||
    bad=1
  if [[ $bad != 0 ]]; then
    found "$test failed" "$folder" "$log"
    say "replay it with: bazel run $test -- FILE"
  fi

  local before after runs
  before="$(entries "$corpus")"
  "$work/$name" -merge=1 "$corpus" "$fresh" >"$work/log" 2>&1 </dev/null || {
    bad=1
    cp "$work/log" "$folder/merge.log"
    found "$test failed as its corpus was merged" "$folder" "$work/log"
  }
  after="$(entries "$corpus")"
  rm -rf "$work/corpus"
  runs="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)"
  row "$test" $((SECONDS - begin)) "${runs:-?}" $((after - before)) "$bad"
}

stress() {
  local test="$1" begin=$SECONDS rounds=0 bad=0 folder program
  folder="$(folder_for "$test")"
  program="$stress_bin/${test#//}"
  program="${program/://}"
  while [[ $bad == 0 && ($rounds == 0 || $((SECONDS - begin)) -lt $slot) ]]; do
    timeout --signal=ABRT "$round_limit" "$program" --gtest_fail_fast \
      --gtest_random_seed="$((seed + rounds))" >"$folder/log" 2>&1 </dev/null ||
      bad=1
    if [[ $bad != 0 ]]; then
      mv "$folder/log" "$folder/seed-$((seed + rounds)).log"
      found "$test failed with --gtest_random_seed=$((seed + rounds))" \
        "$folder" "$folder/seed-$((seed + rounds)).log"
    fi
    rounds=$((rounds + 1))
    if (((rounds & (rounds - 1)) == 0)); then
      say "$test: $rounds rounds, $((SECONDS - begin)) s"
    fi
  done
  row "$test" $((SECONDS - begin)) "$rounds" - "$bad"
}

done=0
begins() {
  done=$((done + 1))
  say "[$done/$count] $1 for $slot s, seed $seed"
}
for test in "${fuzz_tests[@]}"; do
  begins "$test"
  fuzz "$test"
done
for test in "${stress_tests[@]}"; do
  begins "$test"
  stress "$test"
done
