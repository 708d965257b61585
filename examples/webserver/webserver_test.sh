#!/usr/bin/env bash
# Runs the program itself, over real sockets: webserver_test.sh WEBSERVER
set -euo pipefail

webserver="$1"
work="$TEST_TMPDIR"
server= # its process

command -v curl >/dev/null || {
  echo "this test needs curl" >&2
  exit 1
}

fail() {
  echo "FAILED: $*" >&2
  tail -n +1 "$work"/out "$work"/err >&2
  exit 1
}

# Starts it on free ports, and reads the ports from its output.
start() {
  # Emptied here, so that the ports of the previous server are not read.
  : >"$work/out"
  "$webserver" --port=0 --admin_port=0 "$@" >"$work/out" 2>"$work/err" &
  server=$!
  until grep -q '^admin on port' "$work/out"; do
    kill -0 "$server" || fail "it did not start"
    sleep 0.01
  done
  site="http://127.0.0.1:$(sed -n 's/^site on port //p' "$work/out")"
  admin="http://127.0.0.1:$(sed -n 's/^admin on port //p' "$work/out")"
}

# Waits until it ends, and compares the exit status.
ends_with() {
  local status=0
  wait "$server" || status=$?
  [[ $status == "$1" ]] || fail "exit status $status, not $1"
}

said() { grep -qxF "$1" "$work/out" || fail "it did not say '$1'"; }
complained() { grep -qxF "$1" "$work/err" || fail "no complaint '$1'"; }

# Waits until a long request to the site is in flight.
in_flight() {
  until [[ "$(curl -sS "$admin/stats")" == "in flight 1"$'\n'* ]]; do
    sleep 0.01
  done
}

# Prints the answer and its status.
get() { curl -sS -w '%{http_code}\n' "$@"; }

is_refused() {
  local status=0
  curl -sS "$1" 2>/dev/null || status=$?
  [[ $status == 7 ]] || fail "curl $1: exit status $status, not 7"
}

echo "It serves."
start
[[ "$(get "$site/work?for=1ms")" == $'done\n200' ]] || fail "work"
[[ "$(get "$site/work?for=ever")" == 400 ]] || fail "bad work"
[[ "$(get "$site/nothing")" == 404 ]] || fail "nothing"
[[ "$(get "$admin/stats")" == $'in flight 0\nanswered 2\n200' ]] || fail "stats"

echo "A port that is taken is an error."
if timeout 60 "$webserver" --port="${site##*:}" --admin_port=0 \
  >"$work/second" 2>&1; then
  fail "two servers on one port"
fi
grep -qxF "site: cannot listen on port ${site##*:}" "$work/second" || fail "why"

echo "SIGTERM lets finish what is in flight, and takes nothing more."
get "$site/farewell" >"$work/slow" &
client=$!
in_flight
kill -TERM "$server"
ends_with 0
wait "$client"
[[ "$(<"$work/slow")" == $'farewell\n200' ]] || fail "the slow request"
said "ending: Terminated"
said "answered 3"
is_refused "$site/work?for=1ms"
is_refused "$admin/stats"

echo "What takes too long is told so."
start --drain=50ms --grace=1m
get "$site/work?for=1h" >"$work/slow" &
client=$!
in_flight
kill -TERM "$server"
ends_with 1
wait "$client"
[[ "$(<"$work/slow")" == $'the time to drain is over\n503' ]] ||
  fail "the slow request"
complained "site: late answers to 1"

echo "If one server stops, all do."
start
[[ "$(get -d '' "$admin/stop")" == $'stopping\n200' ]] || fail "stop"
ends_with 0
said "ending: somebody said stop"
is_refused "$site/work?for=1ms"

echo "A client that dawdles does not keep it."
start --drain=50ms --grace=50ms
exec 3<>"/dev/tcp/127.0.0.1/${site##*:}"
printf '%s\r\n' 'POST / HTTP/1.1' 'Host: here' 'Content-Length: 1000000' \
  'Expect: 100-continue' '' >&3
read -r line <&3
[[ $line == "HTTP/1.1 100 "* ]] || fail "$line"
# Sends a byte before a read of the server can time out.
while printf x >&3; do sleep 0.5; done 2>/dev/null &
client=$!
kill -TERM "$server"
ends_with 1
complained "some requests never came to an end"
kill "$client" 2>/dev/null || true
exec 3>&-

echo "Under load, all are answered; more than it serves at once, too."
start --connections=8
# Sends $1 requests, up to 40 at once.
load() {
  curl -sS --parallel --parallel-max 40 --no-progress-meter \
    -w '%{http_code}\n' -o /dev/null "$site/work?for=5ms&n=[1-$1]" \
    2>/dev/null >"$work/codes" || true
}
answers() { grep -cx 200 "$work/codes" || true; }
load 400
[[ $(answers) == 400 ]] || fail "$(answers) answers of 400"

echo "SIGTERM under load: whatever it answers arrives."
# The server answers eight requests in 5 ms, so it cannot answer all of these
# before the signal.
load 20000 &
client=$!
until (($(curl -sS "$admin/stats" | sed -n 's/^answered //p') > 450)); do
  sleep 0.01
done
kill -TERM "$server"
ends_with 0
wait "$client"
said "answered $((400 + $(answers)))"
(($(answers) < 20000)) || fail "the load was over before the signal"
