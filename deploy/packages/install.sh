# Sourced by deploy/quickstart.sh and tests/run.sh: gets Debian packages, and says what to do where it
# cannot. Runs nothing on a machine that has them all.

# Where ccache is installed, one checkout's compilations serve the next, wherever it lies.
CCACHE_BASEDIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export CCACHE_BASEDIR CCACHE_NOHASHDIR=1

readonly kPackageLists=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

Fail() { echo "$(basename "$0"): $*" >&2; exit 1; }

# RequireDebianRoot: images, namespaces and cgroups need root; the package lists are Debian's.
RequireDebianRoot() {
  local ID='' VERSION_ID=''
  if [ -r /etc/os-release ]; then . /etc/os-release; fi
  if [ "$ID" != debian ] || [ "${VERSION_ID:-99}" -lt 12 ]; then
    Fail "this script knows Debian 12 and later, not '${ID:-this system}'; on another system install" \
      "the equivalents of deploy/packages/build.txt and use the CMake presets (see CONTRIBUTING.md)"
  fi
  [ "$(id -u)" = 0 ] || Fail "runtime images and sandboxes need root here: run it as root"
}

# InstallPackages LIST...: names of files beside this one, without ".txt".
InstallPackages() {
  local wanted missing
  wanted=$(for list in "$@"; do sed 's/#.*//' "$kPackageLists/$list.txt"; done)
  missing=$(for package in $wanted; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || echo "$package"
  done)
  [ -n "$missing" ] || return 0
  echo "installing:" $missing
  apt-get update -qq
  # shellcheck disable=SC2086  # one word per package
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}
