#!/usr/bin/env bash
#
# Makes `bazel test //...` work in this checkout.
#
#   tools/setup.sh            announce what is missing, then install it
#   tools/setup.sh --dry-run  only announce it
#   tools/setup.sh --quiet    say nothing if nothing is missing
#
# A machine whose bazel (or bazelisk) resolves this repository's modules is
# left alone. A Debian machine without one gets a Bazel, compilers and sources
# from Debian's own archive, and a user.bazelrc (ignored by git) that points
# Bazel at them. On any other machine, the script says what is needed.

set -euo pipefail

readonly bazel_version=7.7.1
readonly abseil_version=20240722.0
readonly googletest_version=1.16.0
readonly httplib_version=0.18.7  # of cpp-httplib, for the examples
# The suites that carry them. Bazel 7 is in no release before forky. forky's
# Abseil needs a newer rules_cc than the one packaged with that Bazel; trixie's
# does not.
readonly bazel_suite=forky
readonly source_suite=trixie

readonly packages=(
  # The tools, from the machine's own release. Bazel's package depends on
  # build-essential, and would install a later suite's, with a later g++.
  build-essential ca-certificates git clang-19 libclang-rt-19-dev llvm-19 clang-format-19
  # The libraries that bazel/stubs links.
  libbenchmark-dev libssl-dev
)
# Programs that tests run.
readonly test_packages=(curl)
readonly bazel_packages=(
  bazel-bootstrap bazel-skylib bazel-rules-cc bazel-platforms
  openjdk-21-jdk-headless
)

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
readonly root
readonly rc="$root/user.bazelrc"
# Every Bazel workspace of this repository gets a user.bazelrc of its own.
workspaces=()
for workspace in "$root" "$root"/examples "$root"/tests/consumer_*; do
  [[ ! -f "$workspace/.bazelrc" ]] || workspaces+=("$workspace")
done
readonly workspaces
readonly rc_mark="# Written by tools/setup.sh"

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
  printf 'setup: error: %s\n' "$*" >&2
  exit 1
}

dry_run=false
quiet=false
case "${1-}" in
  "") ;;
  --dry-run) dry_run=true ;;
  --quiet) quiet=true ;;
  *) sed -n '3,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac

nothing_to_do() {
  $quiet || say "nothing to do${1+: $1}"
  exit 0
}

# --- The machine ------------------------------------------------------------

home="${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}"
readonly cache="${XDG_CACHE_HOME:-$home/.cache}/cohort"
readonly abseil="$cache/src/abseil-cpp-$abseil_version"
readonly googletest="$cache/src/googletest-$googletest_version"
readonly httplib="$cache/src/cpp-httplib-$httplib_version"

# shellcheck disable=SC1091
os_release() {
  (. /etc/os-release 2>/dev/null && eval "printf %s \"\${$1-}\"")
}

# Prints the version of an installed package, nothing for any other.
installed_version() {
  dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
    sed -n 's/^installed //p'
}

# Whether Bazel resolves this repository's modules and has their files. This
# tells a Bazel that reaches its registry from one that does not.
bazel_works() {
  (cd "$root" && timeout 600 "$1" query --noshow_progress \
    "@abseil-cpp//absl/base:config + @googletest//:gtest") </dev/null \
    >"$probe_log" 2>&1 9>&- # or the server would inherit and keep the lock
}

probe_log="$(mktemp)"
readonly probe_log
trap 'rm -f "$probe_log"' EXIT

# --- A Bazel that reaches its registry needs nothing from us ----------------

ours() { [[ -f "$rc" ]] && head -n 1 "$rc" | grep -qF "$rc_mark"; }
bazel_is_debians() {
  [[ -e /etc/bazel/bazelrc && -n "$(installed_version bazel-bootstrap)" ]]
}

if ! ours && ! { bazel_is_debians && [[ -e "$cache/configured" ]]; }; then
  for candidate in bazel bazelisk; do
    if command -v "$candidate" >/dev/null; then
      if bazel_works "$candidate"; then
        nothing_to_do "$candidate works and reaches its registry"
      fi
      say "$candidate is here but cannot resolve this repository's modules:"
      grep -E '^(ERROR|FATAL|Error)' "$probe_log" | head -n 3 >&2 || true
    fi
  done
fi

if [[ "$(os_release ID)" != debian ]] || ! command -v apt-get >/dev/null; then
  die "no working bazel here, and this is not Debian: install bazelisk, which" \
    "reads .bazelversion, together with clang or g++"
fi
if [[ -f "$rc" ]] && ! ours; then
  die "user.bazelrc is not one that this script wrote; move it away first"
fi

# --- What is missing --------------------------------------------------------

codename="$(os_release VERSION_CODENAME)"
readonly codename
arch="$(dpkg --print-architecture)"
readonly java_home="/usr/lib/jvm/java-21-openjdk-$arch"
readonly apt_source=/etc/apt/sources.list.d/cohort-$bazel_suite.sources
readonly apt_pin=/etc/apt/preferences.d/cohort-$bazel_suite

missing=()
for package in "${packages[@]}" "${test_packages[@]}"; do
  [[ -n "$(installed_version "$package")" ]] || missing+=("$package")
done

bazel_missing=false
for package in "${bazel_packages[@]}"; do
  [[ -n "$(installed_version "$package")" ]] || bazel_missing=true
done
dpkg --compare-versions "$(installed_version bazel-bootstrap)" ge \
  "$bazel_version" || bazel_missing=true

sources_missing=false
for tree in "$abseil" "$googletest" "$httplib"; do
  [[ -f "$tree/MODULE.bazel" ]] || sources_missing=true
done

# The compilers and system headers are not inputs of Bazel's actions, so the
# name of the disk cache contains a hash of their versions.
disk_cache_dir() {
  local versions
  versions="$(dpkg-query -W -f '${Package} ${Version}\n' "${packages[@]}" \
    gcc g++ gcc-12 libc6-dev libstdc++-12-dev 2>/dev/null || true)"
  printf '%s/disk/%s' "$cache" "$(sha256sum <<<"$versions" | cut -c1-12)"
}
disk_cache="$(disk_cache_dir)"

# Prints the user.bazelrc of a workspace.
rc_for() {
  local name
  cat <<END
$rc_mark; it may be deleted and is then written anew.
startup --server_javabase=$java_home

END
  if [[ -f "$1/MODULE.bazel" ]]; then
    echo "# What a registry would serve: sources from Debian, and stubs."
    override module abseil-cpp "$abseil"
    override module googletest "$googletest"
    for name in apple_support buildozer protobuf re2 zlib; do
      override module "$name" "$root/bazel/stubs/$name"
    done
    # Bazel refuses to override modules that are not in the graph.
    for name in google_benchmark openssl; do
      if grep -q "name = \"$name\"" "$1/MODULE.bazel"; then
        override module "$name" "$root/bazel/stubs/$name"
      fi
    done
    if grep -q 'name = "cpp-httplib"' "$1/MODULE.bazel"; then
      override module cpp-httplib "$httplib"
    fi
  else
    echo "# What the network would serve: sources and packages from Debian."
    override repository com_google_absl "$abseil"
    override repository com_google_googletest "$googletest"
    for name in bazel_features bazel_skylib platforms rules_cc rules_java \
      rules_license rules_proto rules_python; do
      override repository "$name" "$(packaged "$name")"
    done
  fi
  cat <<END

# clang is the compiler of every configuration but gcc.
common --repo_env=CC=/usr/bin/clang-19
common:clang --repo_env=CC=/usr/bin/clang-19
common:gcc --repo_env=CC=/usr/bin/gcc
test --test_env=ASAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19
test --test_env=TSAN_SYMBOLIZER_PATH=/usr/bin/llvm-symbolizer-19

# Debian's own bazelrc asks for --sandbox_debug, which floods the output.
build --nosandbox_debug
# A third of the sandbox's time on two cores; --config=sandbox brings it back.
build --spawn_strategy=local
build --disk_cache=$disk_cache
build --experimental_disk_cache_gc_max_size=8G
END
}

override() { echo "common --override_$1=$2=$3"; }

rcs_are_current() {
  local workspace
  for workspace in "${workspaces[@]}"; do
    [[ -f "$workspace/user.bazelrc" &&
      "$(rc_for "$workspace")" == "$(<"$workspace/user.bazelrc")" ]] ||
      return 1
  done
}

write_rcs() {
  local workspace
  for workspace in "${workspaces[@]}"; do
    rc_for "$workspace" >"$workspace/user.bazelrc.new"
    mv "$workspace/user.bazelrc.new" "$workspace/user.bazelrc"
  done
}

# Where Debian's Bazel keeps its copy of a module.
packaged() {
  local path
  path="$(sed -n "s/.*--override_module=$1=\([^ ]*\).*/\1/p" \
    /etc/bazel/bazelrc | tail -n 1)"
  [[ -n "$path" ]] || die "/etc/bazel/bazelrc has no module $1"
  echo "$path"
}

# Debian's sources of cpp-httplib have no BUILD file.
add_httplib_build() { cp -u "$root"/bazel/stubs/cpp-httplib/* "$httplib"; }

if [[ ${#missing[@]} == 0 && $bazel_missing == false &&
  $sources_missing == false ]] && rcs_are_current; then
  $dry_run || add_httplib_build
  nothing_to_do
fi

# --- Announce ---------------------------------------------------------------

say "this machine has no Bazel that reaches a registry; with Debian's packages:"
if $bazel_missing; then
  [[ "$codename" == "$bazel_suite" ]] || {
    say "  - add the suite $bazel_suite as a package source, pinned to 100:"
    say "    $apt_source, $apt_pin"
  }
  say "  - install Bazel $bazel_version and a JDK 21 from $bazel_suite; this" \
    "upgrades libc6 and OpenSSL's libraries"
fi
[[ ${#missing[@]} == 0 ]] || say "  - install ${missing[*]}"
! $sources_missing ||
  say "  - unpack Abseil $abseil_version, GoogleTest $googletest_version and" \
    "cpp-httplib $httplib_version from $source_suite's sources into $cache/src"
say "  - write a user.bazelrc, which git ignores, in: ${workspaces[*]}"

! $dry_run || exit 0

# --- Do it ------------------------------------------------------------------

as_root() {
  if [[ "$(id -u)" == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo -- "$@"
  else
    die "installing packages needs root, and there is no sudo"
  fi
}

apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get \
    -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 -qq "$@" </dev/null >&2
}

# Prints the URI of the archive that serves this machine's release, and on the
# following lines the value of its Signed-By, if any. Reads both formats.
debian_archive() {
  local found
  found="$(
    for file in /etc/apt/sources.list.d/*.sources; do
      [[ -f "$file" ]] && { cat "$file" && echo; }
    done | awk -v suites=" $1 " '
      function flush(   i, n, list, fits) {
        n = split(value["suites"], list, " ")
        for (i = 1; i <= n; i++)
          if (index(suites, " " list[i] " ")) fits = 1
        if (fits && value["enabled"] !~ /^(no|false|0)/ &&
            " " value["types"] " " ~ / deb / &&
            " " value["components"] " " ~ / main /) {
          split(value["uris"], list, " ")
          print list[1]
          print value["signed-by"]
          done = 1
          exit
        }
        split("", value)
      }
      /^#/ { next }
      /^[ \t]*$/ { flush(); next }
      /^[ \t]/ { value[field] = value[field] "\n" $0; next }
      {
        field = tolower(substr($0, 1, index($0, ":") - 1))
        sub(/^[^:]*:[ \t]*/, "")
        value[field] = $0
      }
      END { if (!done) flush() }'
  )"
  if [[ -z "$found" ]]; then
    found="$(
      for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ -f "$file" ]] && { cat "$file" && echo; }
      done | awk -v suites=" $1 " '
        $1 != "deb" { next }
        {
          sub(/#.*/, "")
          key = ""
          i = 2
          if ($i ~ /^\[/) {
            for (; i <= NF; i++) {
              word = $i
              gsub(/[][]/, "", word)
              if (word ~ /^signed-by=/) key = substr(word, 11)
              if ($i ~ /\]$/) break
            }
            i++
          }
          main = 0
          for (j = i + 2; j <= NF; j++) if ($j == "main") main = 1
          if (main && index(suites, " " $(i + 1) " ")) {
            print $i
            print key
            exit
          }
        }'
    )"
  fi
  [[ -n "$found" ]] || return 1
  echo "$found"
}

# Prints a package source in deb822 form, with the given type and suite, and the
# archive and key of this machine.
apt_stanza() {
  local archive key
  archive="$(debian_archive "$codename stable oldstable oldoldstable testing \
unstable sid")" || die "no package source of this machine serves $codename main"
  key="$(tail -n +2 <<<"$archive")"
  printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\n' \
    "$1" "$(head -n 1 <<<"$archive")" "$2"
  [[ -z "$key" ]] || printf 'Signed-By: %s\n' "$key"
}

install_bazel() {
  if [[ "$codename" != "$bazel_suite" ]]; then
    # The source is kept: without it apt could not install a -dev package that
    # depends on the upgraded libc6. The pin keeps all other packages unchanged.
    apt_stanza deb "$bazel_suite" | as_root tee "$apt_source" >/dev/null
    printf 'Package: *\nPin: release n=%s\nPin-Priority: 100\n' \
      "$bazel_suite" | as_root tee "$apt_pin" >/dev/null
    apt update || say "some package source of this machine did not answer"
  fi
  # Takes all jars from this suite, even those for which the dependencies accept
  # an older version: with older jars the server starts and never answers.
  local jars
  mapfile -t jars < <(
    apt-cache depends -t "$bazel_suite" --recurse --no-suggests \
      --no-recommends --no-conflicts --no-breaks --no-replaces \
      --no-enhances bazel-bootstrap | grep -E '^lib.*-java$' | sort -u
  )
  [[ ${#jars[@]} -gt 20 ]] || die "$bazel_suite has no bazel-bootstrap here"
  # A security update of libssl3 may be newer than the versions that forky's
  # packages can replace; both contain the same file.
  apt install -y --no-install-recommends -t "$bazel_suite" \
    -o Dpkg::Options::=--force-overwrite \
    "${bazel_packages[@]}" "${jars[@]}"
}

# Unpacks the upstream part of a Debian source package: name, upstream version,
# destination. The destination must not be below /tmp, which Bazel's sandbox
# hides.
unpack_source() {
  [[ ! -f "$3/MODULE.bazel" ]] || return 0
  local work="$cache/src/.$1"
  rm -rf "$work"
  mkdir -p "$work"
  (cd "$work" && apt-get "${source_options[@]}" -qq source --download-only \
    "$1/$source_suite") </dev/null >&2
  local tar
  tar="$(find "$work" -name "${1}_$2.orig.tar.*" ! -name '*.asc')"
  [[ -n "$tar" ]] || die "$source_suite's $1 is no longer $2"
  mkdir "$work/tree"
  tar -xf "$tar" -C "$work/tree" --strip-components=1
  rm -rf "$3"
  mv "$work/tree" "$3"
  rm -rf "$work"
}

fetch_sources() {
  # Uses separate package lists, so that the machine's are not touched.
  local apt_dir="$cache/apt"
  mkdir -p "$apt_dir/parts" "$apt_dir/lists/partial" "$cache/src"
  apt_stanza deb-src "$source_suite" >"$apt_dir/parts/cohort.sources"
  local source_options=(
    -o Dir::Etc::SourceList=/dev/null
    -o Dir::Etc::SourceParts="$apt_dir/parts"
    -o Dir::State::Lists="$apt_dir/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=
    -o APT::Get::List-Cleanup=false
  )
  apt-get "${source_options[@]}" -qq update </dev/null >&2
  unpack_source abseil "$abseil_version" "$abseil"
  unpack_source googletest "$googletest_version" "$googletest"
  unpack_source cpp-httplib "$httplib_version" "$httplib"
  add_httplib_build
  rm -rf "$apt_dir"
}

mkdir -p "$cache"
# Two checkouts may be set up at the same time.
exec 9>"$cache/lock"
flock -w 1800 9 || die "another tools/setup.sh holds $cache/lock"

if [[ ${#missing[@]} != 0 ]]; then
  say "installing ${missing[*]}"
  apt update || say "some package source of this machine did not answer"
  apt install -y --no-install-recommends "${missing[@]}"
fi
if $bazel_missing; then
  say "installing Bazel from $bazel_suite"
  install_bazel
fi
if $sources_missing; then
  say "fetching the sources of Abseil, GoogleTest and cpp-httplib"
  fetch_sources
fi

disk_cache="$(disk_cache_dir)"
write_rcs
if ! bazel_works bazel && ! $bazel_missing; then
  say "bazel is installed but does not work: installing it again"
  install_bazel
fi
if ! bazel_works bazel; then
  rm -f "${workspaces[@]/%//user.bazelrc}"
  tail -n 20 "$probe_log" >&2
  die "bazel still does not work; its last lines are above"
fi
touch "$cache/configured"
say "done"
