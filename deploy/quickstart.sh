#!/usr/bin/env bash
# From a fresh Debian 12 or 13 machine to Python running in sandboxes, in one command.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages/install.sh

readonly kImage=python3.14
readonly kBin=build/release/bin
readonly kSocket=unix:/run/cloister/quickstart.sock
readonly kMetricsPort=9465

Usage() {
  cat <<'END'
usage: deploy/quickstart.sh                build, start the server, run a few programs, stop
       deploy/quickstart.sh --build-only   stop after the build
       deploy/quickstart.sh --serve        leave the server in the foreground (Ctrl-C ends it)
END
}

Step() { printf '\n== %s\n' "$*"; }

# The server gives up root and becomes this user, whose ids nothing else on the machine has.
MakeUser() {
  getent passwd cloister >/dev/null && return
  Step "User cloister"
  useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin cloister
}

Build() {
  Step "Packages"
  InstallPackages build
  MakeUser
  Step "Runtime image $kImage"
  deploy/images/build.sh "$kImage"
  Step "Programs (release build; a few minutes the first time)"
  local options=() log
  # A developer's build directory keeps its tests; a new one does not need them.
  [ -e build/release/CMakeCache.txt ] || options=(-DCLOISTER_BUILD_TESTS=OFF)
  log=$(mktemp)
  cmake --preset release "${options[@]}" >"$log" 2>&1 || { cat "$log" >&2; rm "$log"; exit 1; }
  rm "$log"
  cmake --build --preset release --parallel "$(nproc)"
}

# Show COMMAND...: prints and runs it; its exit status is shown, not ours.
Show() {
  local status=0
  printf '\n$ cloister %s\n' "${*@Q}"
  "$kBin/cloister" --server "$kSocket" "$@" || status=$?
  last_status=$status
  echo "[exit status $status]"
}

# Expect STATUS WHAT: the demonstration is a test as well.
Expect() { [ "$last_status" = "$1" ] || Fail "$2 ended with status $last_status, expected $1"; }

StartServer() {
  Step "Server"
  scratch=$(mktemp -d)
  "$kBin/cloisterd" --listen "$kSocket" --metrics_listen "127.0.0.1:$kMetricsPort" 2>"$scratch/log" &
  server=$!
  local tries
  for ((tries = 0; tries < 150; ++tries)); do
    "$kBin/cloister" --server "$kSocket" info >"$scratch/info" 2>&1 && break
    kill -0 "$server" 2>/dev/null || { cat "$scratch/log" >&2; Fail "the server did not start (above: its log)"; }
    sleep 0.2
  done
  ((tries < 150)) || { cat "$scratch/info" "$scratch/log" >&2; Fail "the server did not answer within 30 s"; }
  echo "cloisterd runs as process $server on $kSocket"
}

StopServer() {
  if [ -n "${server:-}" ]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
  fi
  if [ -n "${scratch:-}" ]; then rm -rf "$scratch"; fi
}

RunPrograms() {
  Step "Programs, each in a sandbox that nobody used before"
  Show run -c 'import sys; print("Hello from Python", sys.version.split()[0])'
  Expect 0 "hello"
  Show run -c 'def divide(a, b):
    return a / b
divide(1, 0)'
  Expect 1 "an exception"
  Show run --wall 1s -c 'while True: pass'
  Expect 124 "an endless loop"
  Show run --fetch "report.txt:$scratch/report.txt" -c 'open("report.txt", "w").write("first line\nsecond line\n")'
  Expect 0 "writing a file"
  echo "report.txt came back:"
  sed 's/^/  /' "$scratch/report.txt"
  Step "What the server says of itself"
  Show info
  Expect 0 "info"
}

ShowMetrics() {
  Step "Metrics, http://127.0.0.1:$kMetricsPort/metrics"
  exec 3<>"/dev/tcp/127.0.0.1/$kMetricsPort"
  printf 'GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
  tr -d '\r' <&3 >"$scratch/metrics"
  exec 3>&-
  grep -E '^cloister_(executions_finished_total|pool_sandboxes|sandbox_starts_total|execution_duration_seconds_(sum|count))\{' \
    "$scratch/metrics" | grep -v ' 0$' || Fail "no metrics of executions were exported"
}

mode=demo
case ${1:-} in
  '') ;;
  --build-only) mode=build ;;
  --serve) mode=serve ;;
  --help | -h) Usage; exit ;;
  *) Usage >&2; exit 2 ;;
esac
RequireDebianRoot
Build
case $mode in
  build) Step "Built: $kBin/cloisterd and $kBin/cloister" ;;
  serve)
    Step "Server on $kSocket; try: $kBin/cloister --server $kSocket run -c 'print(1)'"
    exec "$kBin/cloisterd" --listen "$kSocket" --metrics_listen "127.0.0.1:$kMetricsPort"
    ;;
  demo)
    trap StopServer EXIT
    trap 'exit 130' INT TERM
    StartServer
    RunPrograms
    ShowMetrics
    StopServer
    Step "Done. deploy/quickstart.sh --serve leaves the server running."
    ;;
esac
