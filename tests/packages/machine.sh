# A Debian machine of this machine's suite in a directory, with systemd as its first process
# (systemd-nspawn). Sourced; uses kBase, kCache, kSource, scratch; sets machine.

machine=
nspawn=

Fail() { echo "$(basename "$0"): $*" >&2; exit 1; }

# Await WHAT COMMAND...: until it succeeds, for a minute at most.
Await() {
  local what=$1 tries
  shift
  for ((tries = 0; tries < 300; ++tries)); do
    if "$@"; then echo "-- $what"; return; fi
    sleep 0.2
  done
  tail -n 20 "$scratch/boot.log" >&2
  Inside journalctl --no-pager -u cloisterd >&2 || true
  Fail "not within a minute: $what"
}

# Leader: the machine's first process, as this machine sees it.
Leader() { cat "/proc/$nspawn/task/$nspawn/children" 2>/dev/null | cut -d ' ' -f 1; }

# Inside COMMAND...: runs it on the machine.
Inside() {
  local leader
  leader=$(Leader)
  [ -n "$leader" ] || return 1
  nsenter -t "$leader" -m -p -u -i -n -C -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "$@"
}

# From the cache, where there is one of the same suite and packages.
MakeMachine() {
  local VERSION_CODENAME='' base mirror
  . /etc/os-release
  base=$kCache/$VERSION_CODENAME-$(echo "$kBase" | sha256sum | cut -c 1-16).tar
  if [ ! -s "$base" ]; then
    . "$kSource/deploy/images/builder/packages.sh"
    mirror=$(DebianMirror)
    mkdir -p "$kCache"
    AptOptions >"$scratch/apt"
    mmdebstrap --format=tar --variant="${kBase%%,*}" --include="${kBase#*,}" --aptopt="$scratch/apt" "$VERSION_CODENAME" "$base.$$" \
      "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $VERSION_CODENAME main" >"$scratch/base.log" 2>&1 ||
      { tail -n 15 "$scratch/base.log" >&2; Fail "cannot make a base system"; }
    mv "$base.$$" "$base"
  fi
  machine=$scratch/machine
  mkdir "$machine"
  tar -xf "$base" -C "$machine"
  cp -L /etc/resolv.conf "$machine/etc/"
  cp -r /etc/apt/apt.conf.d/. "$machine/etc/apt/apt.conf.d/"
  if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    mkdir -p "$machine/etc/ssl/certs"
    cp /etc/ssl/certs/ca-certificates.crt "$machine/etc/ssl/certs/"
  fi
}

# With what a real machine lets its services do: all capabilities, Landlock, a writable /sys.
BootMachine() {
  SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes systemd-nspawn --boot --directory="$machine" --register=no --keep-unit --capability=all \
    --private-users=no --resolv-conf=off --system-call-filter="landlock_create_ruleset landlock_add_rule landlock_restrict_self" \
    >"$scratch/boot.log" 2>&1 </dev/null &
  nspawn=$!
  Await "the machine has booted" IsUp
}

IsUp() {
  case $(Inside systemctl is-system-running 2>/dev/null) in running | degraded) ;; *) return 1 ;; esac
}

CleanUp() {
  local leader
  if [ -n "$nspawn" ]; then
    leader=$(Leader)
    # SIGRTMIN+4 asks systemd to power off; without an answer it is ended.
    [ -z "$leader" ] || kill -s RTMIN+4 "$leader" || true
    for _ in $(seq 100); do kill -0 "$nspawn" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$nspawn" 2>/dev/null || true
    wait "$nspawn" 2>/dev/null || true
  fi
  rm -rf --one-file-system "$scratch"
}
