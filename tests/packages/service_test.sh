#!/usr/bin/env bash
# Installs the Debian packages on a fresh machine whose init is systemd, and uses the service as an
# administrator would: it starts, serves under the unit's hardening with all layers in force, is reloaded
# and stopped, and a purge leaves nothing behind.
#
#   tests/packages/service_test.sh BUILD_DIRECTORY
set -euo pipefail

readonly kBuild=${1:?the build directory}
readonly kSource=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly kImage=python3.14
# The base system does not change between runs; it is kept by what it was made of.
readonly kCache=${CLOISTER_TEST_CACHE:-/var/cache/cloister-tests}
readonly kBase=minbase,systemd,systemd-sysv,dbus

. "$kSource/tests/packages/machine.sh"

Check() { echo "-- $1"; shift; "$@" || { Inside journalctl --no-pager -u cloisterd | tail -n 30; Fail "failed: $*"; }; }
Prints() { local wanted=$1 got; shift; got=$("$@"); [ "$got" = "$wanted" ] || { echo "got: $got"; return 1; }; }
Refused() { ! "$@" >/dev/null 2>&1; }

Install() {
  (cd "$kBuild" && cpack -G DEB >"$scratch/cpack.log" 2>&1) || { cat "$scratch/cpack.log" >&2; Fail "cpack failed"; }
  cp "$kBuild"/packages/cloister_*.deb "$kBuild"/packages/cloister-image-"$kImage"_*.deb "$machine/root/"
  Inside apt-get update -qq
  # The server's package first, by itself: without an image there is nothing to serve, and nothing fails.
  Inside sh -c 'DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends /root/cloister_*.deb' >"$scratch/apt.log" 2>&1 ||
    { tail -n 20 "$scratch/apt.log" >&2; Fail "the package cloister cannot be installed"; }
  # A container's cgroups of version 1 are read only, which those of a machine are not.
  Inside sh -c 'for one in memory pids cpu cpuacct; do
    [ ! -d /sys/fs/cgroup/$one ] || mount -o remount,rw,bind /sys/fs/cgroup/$one; done'
  Inside sh -c 'DEBIAN_FRONTEND=noninteractive apt-get install -y -qq /root/cloister-image-*.deb' >"$scratch/apt.log" 2>&1 ||
    { tail -n 20 "$scratch/apt.log" >&2; Fail "the package of the image cannot be installed"; }
}

IsReady() { Inside cloister info 2>/dev/null | grep -q ': ready'; }

UseSandboxes() {
  Inside bash -euc '
    s=$(cloister sandbox create)
    cloister exec $s -c "x = 41"
    t=$(cloister sandbox fork $s)
    [ "$(cloister exec $t -c "x + 1" --value)" = 42 ]
    cloister interp create $s >/dev/null
    [ "$(cloister exec $(cloister interp create $s --profile process) -c "6 * 7" --value)" = 42 ]
    echo 1,2 >/tmp/data.csv
    cloister files put $s /tmp/data.csv
    [ "$(cloister files get $s data.csv -)" = 1,2 ]
    cloister sandbox rm $t
    cloister sandbox rm $s'
}

MemoryLimitHolds() {
  local status=0
  Inside cloister run --memory 64MiB -c 'held = [bytearray(10**6) for _ in range(1000)]' >/dev/null 2>&1 || status=$?
  [ "$status" = 137 ]
}

KeepsThroughReload() {
  Inside bash -euc '
    s=$(cloister sandbox create)
    cloister exec $s -c "x = 42"
    systemctl reload cloisterd
    [ "$(cloister exec $s -c x --value)" = 42 ]
    cloister sandbox rm $s'
}

NothingIsLeft() {
  ! Inside ls /etc/cloister /usr/lib/cloister /run/cloister /lib/systemd/system/cloisterd.service 2>/dev/null | grep -q . &&
    ! Inside sh -c 'cat /proc/[0-9]*/comm' 2>/dev/null | grep -q cloister
}

scratch=$(mktemp -d)
trap CleanUp EXIT
MakeMachine
BootMachine
Install
Await "the service is ready" IsReady
Check "runs a program" Prints 42 Inside cloister run -c 'print(6 * 7)'
Check "has every layer under the unit's hardening" Inside sh -c 'cloister info | grep -q "20 of 20 layers in force"'
Check "keeps sandboxes, forks, interpreters, files" UseSandboxes
Check "holds the memory limit" MemoryLimitHolds
Check "is not root" Inside sh -c '[ "$(stat -c %U /proc/$(systemctl show -P MainPID cloisterd))" = cloister ]'
Check "is reloaded, with what lives in it" KeepsThroughReload
Check "starts anew" Inside systemctl restart cloisterd
Await "the service is ready again" IsReady
Check "runs a program again" Prints 42 Inside cloister run -c 'print(6 * 7)'
Check "stops in good order" Inside systemctl stop cloisterd
Check "was not killed for it" Prints success Inside systemctl show -P Result cloisterd
Check "is purged" Inside sh -c 'apt-get purge -y cloister >/dev/null 2>&1'
Check "leaves nothing behind" NothingIsLeft
echo "all passed"
