#!/usr/bin/env bash
# Installs the component `client` into an empty directory, builds clients/cpp/example against nothing else
# of ours, and runs it against a real server.
#
#   tests/cpp_client/installed_test.sh BUILD_DIRECTORY
set -euo pipefail

readonly kBuild=${1:?the build directory}
readonly kSource=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

Fail() { echo "installed_test.sh: $*" >&2; exit 1; }

scratch=$(mktemp -d)
chmod 755 "$scratch"
server=
CleanUp() {
  if [ -n "$server" ]; then
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}
trap CleanUp EXIT

cmake --install "$kBuild" --component client --prefix "$scratch/prefix" >"$scratch/log"
! find "$scratch/prefix" -path '*internal*' | grep . || Fail "internal headers were installed"
cp -r "$kSource/clients/cpp/example" "$scratch/source"
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$kBuild/CMakeCache.txt")
for step in "-S $scratch/source -B $scratch/build -DCMAKE_PREFIX_PATH=$scratch/prefix -DCMAKE_CXX_COMPILER=$compiler" "--build $scratch/build"; do
  # shellcheck disable=SC2086  # words of a command
  cmake $step >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; Fail "the example cannot be built"; }
done

export CLOISTER_SERVER=unix:$scratch/cloister.sock
"$kBuild/bin/cloisterd" --listen "$CLOISTER_SERVER" 2>"$scratch/server.log" &
server=$!
for ((tries = 0; tries < 300; ++tries)); do
  if "$kBuild/bin/cloister" info 2>/dev/null | grep -q ': ready'; then break; fi
  kill -0 "$server" 2>/dev/null || { cat "$scratch/server.log" >&2; Fail "the server did not start"; }
  sleep 0.1
done

got=$("$scratch/build/example")
wanted="a program: 42
a sandbox, whatever its forks do: 42
a refusal: SANDBOX_NOT_FOUND"
[ "$got" = "$wanted" ] || { printf 'got:\n%s\nwanted:\n%s\n' "$got" "$wanted" >&2; Fail "the example printed something else"; }
[ -z "$("$kBuild/bin/cloister" sandbox list)" ] || Fail "sandboxes were left: $("$kBuild/bin/cloister" sandbox list)"
status=0
CLOISTER_SERVER=unix:$scratch/absent.sock "$scratch/build/example" 2>"$scratch/log" || status=$?
[ "$status" = 1 ] || Fail "without a server the example ended with $status"
echo "passed"
