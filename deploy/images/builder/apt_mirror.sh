# Where this machine gets its Debian packages, so that no host is ever written down here. apt itself
# is asked, which understands both formats of its sources.

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
