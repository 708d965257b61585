#!/usr/bin/env bash
#
# Checks the tests: breaks the library on purpose, in a copy of the repository,
# one small change at a time, and looks which of the tests notices.
#
#   tools/mutate.sh [OPTION...] [TEXT...]
#
#   TEXT...       only mutants whose title or file contains one of these
#   --suite=NAME  only those of tests/mutation/NAME.mutants; may be repeated
#   --list        print them
#   --check       see that each of them still applies and is on its page, say
#                 which pages are stale, and no more
#   --rows        put onto the pages what is new in the lists, as not run yet,
#                 and take off what is gone
#   --page        write tests/mutation/pages/NAME.md for each list that was run
#   --quick       without sanitizers, which are the last resort
#   --dir=DIR     keep the copy, Bazel's output and the verdicts there for the
#                 next run, which does not repeat what it would find again
#
# Further flags for Bazel are taken from $BAZEL_FLAGS. Nothing goes into its disk
# cache unless they say so.
#
# The mutants are in tests/mutation/*.mutants:
#
#   test [FLAG...] //PACKAGE:TEST...      what is run, a line after the other
#                                         until one fails
#   == TITLE                              a mutant
#   @@ FILE [TEXT]                        where: in the block that begins with
#                                         the one line that contains TEXT and
#                                         ends with a line that begins with }
#    LINE, -LINE, +LINE                   as in a diff; must match exactly once,
#                                         indentation and comments aside
#   !! REASON                             why no test notices; "Equivalent: ...",
#                                         if there is nothing to notice
#
# A mutant is killed by a test that fails, or that takes many times as long as it
# should; not by what does not compile. Exit status 0: at least 95 % are killed of
# those that are not equivalent, by the first word of their reasons, and each
# that survives has a reason.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
least_share=95
timeout=120

die() { echo "mutate.sh: $*" >&2 && exit 2; }

what=run
dir=
quick=no
filters=()
wanted=()
for arg in "$@"; do
  case "$arg" in
    --list | --check | --rows | --page) what="${arg#--}" ;;
    --quick) quick=yes ;;
    --dir=*) dir="${arg#--dir=}" ;;
    --suite=*) wanted+=("${arg#--suite=}") ;;
    --help | -h) sed -n '3,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    -*) die "$arg: see --help" ;;
    *) filters+=("$arg") ;;
  esac
done
[[ $what != @(check|rows|page) || (${#filters[@]} == 0 && $quick == no) ]] ||
  die "--$what is about whole lists and all tests"

# --- The lists.

titles=()   # of each mutant
suites=()   # the name of its list
diffs=()    # its @@ lines and what follows them
reasons=()  # why it survives, or empty
declare -A stages=() # of each list: one a line

read_list() {
  local suite="$1" line at=0 last=-1
  stages[$suite]=
  while IFS= read -r line || [[ -n $line ]]; do
    at=$((at + 1))
    case "$line" in
      "" | "#"*) ;;
      "test "*) stages[$suite]+="${line#test }"$'\n' ;;
      "== "*)
        last=${#titles[@]}
        titles+=("${line#== }")
        suites+=("$suite")
        diffs+=("")
        reasons+=("")
        ;;
      "!! "*) reasons[last]+="${reasons[last]:+ }${line#!! }" ;;
      "@@ "* | " "* | -* | +*) diffs[last]+="$line"$'\n' ;;
      *) die "$suite.mutants:$at: what is this?" ;;
    esac
  done <"tests/mutation/$suite.mutants"
}

# The files that diffs change.
files_of() { sed -n 's/^@@ \([^ ]*\).*/\1/p' <<<"$1" | sort -u; }

matches_filter() {
  local filter
  for filter in "${filters[@]}"; do
    [[ "${titles[$1]} ${diffs[$1]%%$'\n'*}" == *"$filter"* ]] && return
  done
  [[ ${#filters[@]} == 0 ]]
}

# --- Applying one.

# Takes the indentation and a comment behind it off a line.
bare() {
  local -n bared="$1"
  bared="${bared#"${bared%%[![:space:]]*}"}"
  bared="${bared%%  //*}"
}

# Puts the lines `new` for the one place in a file that has `old`: in `patched`,
# by the file's name. Says in `problem` why it cannot.
apply_hunk() {
  local file="$1" scope="$2"
  local lines=() begin=0 end i j line found=-1
  if [[ -n ${patched[$file]-} ]]; then
    mapfile -t lines <<<"${patched[$file]%$'\n'}"
  elif [[ -f $original/$file ]]; then
    mapfile -t lines <"$original/$file"
  else
    problem="there is no $file"
    return 1
  fi
  end=${#lines[@]}
  if [[ -n $scope ]]; then
    begin=-1
    for ((i = 0; i < ${#lines[@]}; i++)); do
      [[ ${lines[i]} == *"$scope"* ]] || continue
      [[ $begin == -1 ]] || { problem="$file has '$scope' twice" && return 1; }
      begin=$i
    done
    [[ $begin != -1 ]] || { problem="$file has no '$scope'" && return 1; }
    for ((end = begin; end < ${#lines[@]}; end++)); do
      [[ ${lines[end]} != "}"* ]] || break
    done
  fi
  for ((i = begin; i + ${#old[@]} <= end; i++)); do
    for ((j = 0; j < ${#old[@]}; j++)); do
      line="${lines[i + j]}"
      [[ $line == *"${old[j]}"* ]] || continue 2
      bare line
      [[ $line == "${old[j]}" ]] || continue 2
    done
    [[ $found == -1 ]] || { problem="$file has '${old[0]}' twice" && return 1; }
    found=$i
  done
  [[ $found != -1 && ${#old[@]} != 0 ]] || {
    problem="$file has no '${old[0]-}'"
    return 1
  }
  printf -v "patched[$file]" '%s\n' "${lines[@]:0:found}" "${new[@]}" \
    "${lines[@]:found+${#old[@]}}"
}

apply_mutant() {
  local line text file="" scope="" old=() new=()
  patched=()
  while IFS= read -r line; do
    text="${line:1}"
    case "$line" in
      "@@ "*)
        [[ -z $file ]] || apply_hunk "$file" "$scope" || return 1
        read -r _ file scope <<<"$line"
        old=() new=()
        ;;
      " "*) new+=("$text") && bare text && old+=("$text") ;;
      -*) bare text && old+=("$text") ;;
      +*) new+=("$text") ;;
    esac
  done <<<"${diffs[$1]}"
  [[ -n $file ]] || { problem="it changes nothing" && return 1; }
  apply_hunk "$file" "$scope"
}

# Of the lists and the code.
check_mutants() {
  local i problem bad=0
  local -A seen=() patched=()
  for i in "${!titles[@]}"; do
    apply_mutant "$i" || {
      echo "${suites[i]}: ${titles[i]}: $problem"
      bad=1
    }
    [[ -z ${seen[${titles[i]}]-} ]] || {
      echo "${suites[i]}: ${titles[i]}: two have this title"
      bad=1
    }
    seen[${titles[i]}]=1
  done
  [[ ${#titles[@]} != 0 ]] || { echo "there are no mutants" && bad=1; }
  return "$bad"
}

# --- Running the tests.

in_copy() { (cd "$copy" && "$bazel" --output_base="$dir/output" "$@"); }

# What of a test failed, by what it printed.
failed_case() {
  local log="$1" name
  name="$(sed -n 's/^\[  FAILED  \] \([^ ,]*\).*/\1/p' "$log" | head -n 1)"
  # One that died is the last that began.
  [[ -n $name ]] ||
    name="$(sed -n 's/^\[ RUN      \] //p' "$log" | tail -n 1)"
  echo "$name"
}

# Runs the tests of a stage, and says in `verdict` and `by` what came of it.
run_stage() {
  local label result name status=0 words=()
  verdict=survived by=
  read -ra words <<<"$1"
  rm -f "$dir/events"
  in_copy test --noshow_progress --notest_keep_going \
    --test_env=GTEST_FAIL_FAST=1 --test_timeout="$timeout" \
    --test_output=summary --build_event_json_file="$dir/events" \
    "${flags[@]}" "${words[@]}" >"$dir/log" 2>&1 </dev/null || status=$?
  case "$status" in
    0) return ;;
    3) ;;
    *) verdict=broken && return ;;
  esac
  while read -r label result; do
    case "$result" in
      FAILED)
        label="${label#//}"
        name="$(failed_case "$copy/bazel-testlogs/${label/://}/test.log")"
        verdict=killed by="//$label${name:+ $name}"
        if [[ ${words[0]} == --config=* ]]; then by="${words[0]} $by"; fi
        return
        ;;
      TIMEOUT) verdict=killed by="$label that does not end" ;;
      *) ;;
    esac
  done < <(sed -nE 's/^\{"id":\{"testSummary":\{"label":"([^"]*)".*"overallStatus":"([A-Z_]*)".*/\1 \2/p' \
    "$dir/events")
}

# The files of ours that the tests of a stage are built from.
sources_of() {
  local labels words=() found
  read -ra words <<<"$1"
  labels="$(printf '%s\n' "${words[@]}" | grep '^//')"
  # 3: something is missing. Without a network, Bazel's own tool for coverage is.
  found="$(in_copy query --noshow_progress --keep_going \
    "let all = deps(set(${labels//$'\n'/ })) in
     kind('source file', \$all) union buildfiles(\$all)" 2>"$dir/log")" ||
    [[ $? == 3 ]] || { cat "$dir/log" && die "$1: no query of its sources"; }
  sed -n '/^\/\//{s|^//:*||; s|:|/|; p;}' <<<"$found" | sort -u
}

# What is known of a mutant, or of none, in a stage: by the sources and the lines
# of both. Of the same it would be the same.
key_of() {
  printf '%s\n' "$sources" "$@" | sha256sum | cut -c 1-32
}

recall() {
  local line
  line="$(grep -m 1 "^$1 " "$dir/verdicts" 2>/dev/null)" || return
  read -r _ verdict by <<<"$line"
}

# Runs a stage on those of a list that the stages before have left.
run_mutants() {
  local suite="$1" stage="$2" i file began problem key
  local -A patched=()
  sources="$(cd "$copy" && sources_of "$stage" | xargs -d '\n' sha256sum \
    .bazelrc MODULE.bazel)"
  key="$(key_of "$stage" "")"
  if ! recall "$key"; then
    run_stage "$stage"
    [[ $verdict == survived ]] || {
      cat "$dir/log"
      die "$suite: without any mutant: $stage: $verdict: $by"
    }
    echo "$key $verdict" >>"$dir/verdicts"
  fi
  for i in "${chosen[@]}"; do
    [[ ${suites[i]} == "$suite" && ${verdicts[i]} == survived ]] || continue
    key="$(key_of "$stage" "${diffs[i]}")"
    if recall "$key"; then
      verdicts[i]=$verdict
      killers[i]=$by
      continue
    fi
    apply_mutant "$i" || die "${titles[i]}: $problem"
    began=$SECONDS
    for file in "${!patched[@]}"; do
      printf '%s' "${patched[$file]}" >"$copy/$file"
    done
    run_stage "$stage"
    for file in "${!patched[@]}"; do cp "$original/$file" "$copy/$file"; done
    printf '%-8s %3ds  %s: %s%s\n' "$verdict" $((SECONDS - began)) \
      "$suite" "${titles[i]}" "${by:+ | $by}"
    if [[ $verdict == broken ]]; then
      grep -m 3 'error:' "$dir/log" || tail -n 20 "$dir/log"
    else
      echo "$key $verdict $by" >>"$dir/verdicts"
    fi
    verdicts[i]=$verdict
    killers[i]=$by
  done
}

prepare() {
  local file
  if command -v bazel >/dev/null; then bazel=bazel; else bazel=bazelisk; fi
  rm -rf "$copy"
  mkdir -p "$copy"
  # user.bazelrc, which git ignores, is what tools/setup.sh has found out.
  git ls-files -z --cached --others --exclude-standard |
    { cat && printf 'user.bazelrc\0'; } |
    while IFS= read -r -d '' file; do
      if [[ -f $file ]]; then printf '%s\0' "$file"; fi
    done | tar -c --null -T - | tar -x -C "$copy"
  rm -rf "$original"
  for file in $files; do install -D "$copy/$file" "$original/$file"; done
}

finish() {
  if [[ -d $dir/output ]]; then in_copy shutdown || true; fi
  if [[ $keep == no ]]; then
    # Bazel takes away the right to write.
    chmod -R u+w "$dir" && rm -rf "$dir"
  fi
}

# --- The report.

# Of a suite, or of all: those with a verdict, or all.
count() {
  local suite="$1" verdict="${2-}" i n=0
  for i in "${chosen[@]}"; do
    if [[ (-z $suite || ${suites[i]} == "$suite") &&
      (-z $verdict || ${verdicts[i]} == "$verdict") ]]; then
      n=$((n + 1))
    fi
  done
  echo "$n"
}

# A mutant that survives is equivalent if its reason says so.
set_equivalents_apart() {
  local i
  for i in "${chosen[@]}"; do
    if [[ ${verdicts[i]} == survived && ${reasons[i]} == Equivalent* ]]; then
      verdicts[i]=equivalent
    fi
  done
}

# --- The pages.

page_of() { echo "tests/mutation/pages/$1.md"; }

# What verdicts are of: the tests and mutants of a list, and the files in the
# folder $original that these mutants change.
origin_of() {
  local suite="$1" i mutants="" sources changed=()
  for i in "${!titles[@]}"; do
    [[ ${suites[i]} != "$suite" ]] || mutants+="${titles[i]}"$'\n'"${diffs[i]}"
  done
  mapfile -t changed < <(files_of "$mutants")
  sources="$(cd "$original" && sha256sum -- "${changed[@]}" | sha256sum)"
  mutants="$(sha256sum <<<"${stages[$suite]}$mutants")"
  echo "list ${mutants:0:16}, sources ${sources:0:16}"
}

# Prints a page from the verdicts.
page() {
  local suite="$1" i killer
  cat <<END
# What the tests notice: $suite

Generated by \`tools/mutate.sh --page\`: the ways to break the library that are in
\`tests/mutation/$suite.mutants\`, each applied alone to a copy. The second
column names the first test that fails, in the order in which they are run: what
is cheap and says what is wrong comes first.

- Mutants: $(count "$suite")
- Killed: $(count "$suite" killed)
- Equivalent: $(count "$suite" equivalent)
- Not run yet: $(count "$suite" unknown)
- Last run on: ${origins[$suite]}

\`tools/mutate.sh --check\` says whether the page is stale: whether its list, or
the code that it changes, is another one now.

| mutant | killed by |
|---|---|
END
  for i in "${chosen[@]}"; do
    [[ ${suites[i]} == "$suite" ]] || continue
    case "${verdicts[i]}" in
      killed) killer="\`${killers[i]}\`" ;;
      unknown) killer="not run yet" ;;
      *) killer="nothing: ${reasons[i]}" ;;
    esac
    echo "| ${titles[i]} | $killer |"
  done
}

# Takes the verdicts from the page as it is, by the mutants' titles.
read_page() {
  local suite="$1" line i
  local -A killer_of=()
  origins[$suite]="not recorded"
  while IFS= read -r line; do
    case "$line" in
      "- Last run on: "*) origins[$suite]="${line#*: }" ;;
      "| "*" | "*" |")
        line="${line#| }"
        line="${line% |}"
        killer_of[${line%% | *}]="${line#* | }"
        ;;
    esac
  done < <(cat "$(page_of "$suite")" 2>/dev/null)
  for i in "${chosen[@]}"; do
    [[ ${suites[i]} == "$suite" ]] || continue
    line="${killer_of[${titles[i]}]-}"
    verdicts[i]=unknown
    case "$line" in
      \`*\`)
        verdicts[i]=killed
        line="${line#\`}"
        killers[i]="${line%\`}"
        ;;
      nothing:*) [[ -z ${reasons[i]} ]] || verdicts[i]=survived ;;
    esac
  done
}

read_pages() {
  local suite
  for suite in "${wanted[@]}"; do read_page "$suite"; done
  set_equivalents_apart
}

write_pages() {
  local suite
  mkdir -p tests/mutation/pages
  for suite in "${wanted[@]}"; do page "$suite" >"$(page_of "$suite")"; done
}

# That a page is stale is no error: to run its list takes hours.
check_pages() {
  local suite file bad=0
  for suite in "${wanted[@]}"; do
    file="$(page_of "$suite")"
    diff -U 0 --label "$file" --label "tests/mutation/$suite.mutants" \
      <(cat "$file" 2>/dev/null) <(page "$suite") || bad=1
    [[ ${origins[$suite]} == "$(origin_of "$suite")" ]] ||
      echo "$file is stale: tools/mutate.sh --page --suite=$suite"
  done
  [[ $bad == 0 ]] ||
    echo "pages and lists disagree: tools/mutate.sh --rows puts that right"
  for file in tests/mutation/pages/*.md; do
    suite="$(basename "$file" .md)"
    [[ $file == *"*"* || -f tests/mutation/$suite.mutants ]] ||
      { echo "$file has no list" && bad=1; }
  done
  return "$bad"
}

if ((${#wanted[@]} == 0)); then
  for file in tests/mutation/*.mutants; do
    file="${file##*/}"
    wanted+=("${file%.mutants}")
  done
fi
for suite in "${wanted[@]}"; do
  [[ -f tests/mutation/$suite.mutants ]] || die "there is no list '$suite'"
  read_list "$suite"
done
chosen=()
for i in "${!titles[@]}"; do
  if matches_filter "$i"; then chosen+=("$i"); fi
done
[[ ${#chosen[@]} != 0 ]] || die "no mutant contains that"

if [[ $what == list ]]; then
  for i in "${chosen[@]}"; do echo "${suites[i]}: ${titles[i]}"; done
  exit
fi

verdicts=()
killers=()
declare -A origins=() # of the verdicts on each page

if [[ $what == rows ]]; then
  read_pages
  write_pages
  exit
fi

if [[ $what == check ]]; then
  original=.
  status=0
  read_pages
  check_mutants || status=1
  check_pages || status=1
  exit "$status"
fi

keep=yes
[[ -n $dir ]] || { keep=no && dir="$(mktemp -d)"; }
mkdir -p "$dir"
dir="$(cd "$dir" && pwd -P)"
copy="$dir/copy"
original="$dir/original"  # of the files that mutants change
trap finish EXIT

# What mutants are built from is of no use to anybody else; and the tests are to
# notice, not the compiler.
files="$(files_of "$(printf '%s' "${diffs[@]}")")"
flags=(
  --disk_cache= "--per_file_copt=^${files//$'\n'/\$,^}\$@-Wno-error"
)
read -ra more_flags <<<"${BAZEL_FLAGS-}"
flags+=("${more_flags[@]}")
prepare
for i in "${chosen[@]}"; do verdicts[i]=survived killers[i]=; done
for suite in "${wanted[@]}"; do
  [[ $(count "$suite") != 0 ]] || continue
  mapfile -t lines <<<"${stages[$suite]%$'\n'}"
  for stage in "${lines[@]}"; do
    [[ $quick == yes && $stage == --config=* ]] || run_mutants "$suite" "$stage"
  done
done

problems=()
for i in "${chosen[@]}"; do
  case "${verdicts[i]}" in
    broken) problems+=("${titles[i]}: cannot be built or run") ;;
    killed)
      [[ -z ${reasons[i]} ]] ||
        problems+=("${titles[i]}: is killed after all; take its reason away")
      ;;
    *)
      [[ -n ${reasons[i]} ]] || problems+=("${titles[i]}: nothing notices")
      ;;
  esac
done

set_equivalents_apart
killed="$(count '' killed)"
others=$((${#chosen[@]} - $(count '' equivalent)))
printf '\n%d mutants, %d equivalent; of the others %d killed, %d survived, %d broken\n' \
  "${#chosen[@]}" "$(count '' equivalent)" "$killed" "$(count '' survived)" \
  "$(count '' broken)"
for i in "${chosen[@]}"; do
  [[ ${verdicts[i]} == killed || -z ${reasons[i]} ]] ||
    printf '  %s: %s\n' "${titles[i]}" "${reasons[i]}"
done
if ((${#problems[@]} > 0)); then
  printf '\nproblems:\n'
  printf '  %s\n' "${problems[@]}"
  exit 1
fi
((100 * killed >= least_share * others)) || exit 1
if [[ $what == page ]]; then
  for suite in "${wanted[@]}"; do origins[$suite]="$(origin_of "$suite")"; done
  write_pages
fi
