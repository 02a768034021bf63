# Gets an image's packages from where this machine gets its own, so that no host is ever written down
# here. apt itself is asked, which understands both formats of its sources.
#
# Uses from the recipe: suite, python, packages. Sets child while it waits, for a signal to end.

# Prints the URI of a Debian archive. CLOISTER_DEBIAN_MIRROR overrides it.
DebianMirror() {
  if [ -n "${CLOISTER_DEBIAN_MIRROR:-}" ]; then
    printf '%s\n' "$CLOISTER_DEBIAN_MIRROR"
    return
  fi
  local mirror
  mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk '$2 == "main" &&
      $1 ~ /^(bookworm|trixie|forky|duke|sid|oldstable|stable|testing|unstable)$/ { print $3; exit }')
  if [ -z "$mirror" ]; then
    echo "build.sh: no Debian archive in this machine's apt sources;" \
      "set CLOISTER_DEBIAN_MIRROR to the URI of one" >&2
    return 1
  fi
  printf '%s\n' "$mirror"
}

# Prints apt options for the builds: the machine's own way to the network (proxies, certificates),
# and no expiry check, because a mirror's index of a moving suite may be past its date. Signatures
# stay checked.
AptOptions() {
  apt-config dump --format '%F "%v";%n' |
    grep -iE '^Acquire::(Retries|https?|ForceIPv[46]|[a-z]+::Proxy)' || true
  echo 'Acquire::Check-Valid-Until "false";'
}

# Extract TREE CONTENTS: downloads and unpacks; writes a line "name version<TAB>path" per file to CONTENTS.
Extract() {
  local mirror all log=$2.log
  mirror=$(DebianMirror)
  AptOptions >"$2.apt"
  all=("python$python" "libpython$python" "libpython$python-dev" ca-certificates tzdata "${packages[@]}")
  # In the background, so that a signal ends it at once instead of after it.
  CONTENTS=$2 mmdebstrap --variant=extract --include="$(IFS=,; echo "${all[*]}")" --aptopt="$2.apt" \
    --extract-hook='for deb in "$1"/var/cache/apt/archives/*.deb; do
      package=$(dpkg-deb -W --showformat="\${Package} \${Version}" "$deb")
      dpkg-deb --fsys-tarfile "$deb" | tar -t | sed -n "/[^\/]\$/s|^\.|$package\t|p"; done >"$CONTENTS"' \
    "$suite" "$1" "deb [signed-by=$kKeyring] $mirror $suite main" >"$log" 2>&1 &
  child=$!
  if ! wait "$child"; then
    child=
    sed 's/^/  /' "$log" | tail -n 15 >&2
    Fail "cannot get the packages of $name from $suite (above: what mmdebstrap said)"
  fi
  child=
}
