#!/usr/bin/env bash
# Installs what the tests need, builds, runs all of CTest. The last line counts passed and failed.
#
#   tests/run.sh [--sanitizers] [CTEST OPTION...]
#
# --sanitizers runs the unit tests once more under address and undefined behaviour sanitizers.
# CLOISTER_TEST_IMAGES names the runtime images to test with (default: all recipes; they are cached).
# CLOISTER_CHURN_SECONDS is how long the churn test works (default here: 60; by hand an hour or more).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/packages/install.sh

readonly kTools=$PWD/build/tools
export PATH=$PATH:$kTools/usr/bin

# Prometheus and promtool, from Debian's packages without installing them: the server's package would start one.
GetPrometheus() {
  if command -v prometheus >/dev/null && command -v promtool >/dev/null; then return; fi
  local packages=prometheus package
  # Debian 13 has the tool in a package of its own.
  if apt-cache show promtool >/dev/null 2>&1; then packages="prometheus promtool"; fi
  mkdir -p "$kTools"
  (cd "$kTools" && for package in $packages; do
    apt-get download -qq -o APT::Sandbox::User=root "$package" &&
      dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x --wildcards './usr/bin/prom*' && rm -f "$package"_*.deb || exit 1
  done) || Fail "cannot get prometheus and promtool from Debian's packages ($packages)"
}

# RunPreset PRESET CTEST OPTION...: builds and tests; adds to $passed and $failed.
RunPreset() {
  local preset=$1 log count
  shift
  echo "== $preset"
  log=$(mktemp)
  cmake --preset "$preset" -DCLOISTER_BUILD_TESTS=ON >"$log" 2>&1 || { cat "$log" >&2; rm "$log"; return 1; }
  cmake --build --preset "$preset" --parallel "$(nproc)"
  ctest --preset "$preset" "$@" 2>&1 | tee "$log" || true
  count=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of ([0-9]+)$/\1 \2/p' "$log")
  rm "$log"
  [ -n "$count" ] || Fail "ctest --preset $preset did not run"
  failed=$((failed + ${count% *}))
  passed=$((passed + ${count#* } - ${count% *}))
}

sanitizers=
if [ "${1:-}" = --sanitizers ]; then sanitizers=1; shift; fi
RequireDebianRoot
InstallPackages build test
GetPrometheus
# shellcheck disable=SC2046,SC2086  # one word per image
deploy/images/build.sh ${CLOISTER_TEST_IMAGES:-$(deploy/images/build.sh --list | cut -d ' ' -f 1)}

export CLOISTER_CHURN_SECONDS=${CLOISTER_CHURN_SECONDS:-60}
passed=0
failed=0
RunPreset release "$@"
if [ -n "$sanitizers" ]; then RunPreset asan-ubsan "$@"; fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
