#!/usr/bin/env bash
# Builds runtime images: what guests see as their whole world. See README.md beside this file.
set -euo pipefail

readonly kHere=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly kImages=${CLOISTER_IMAGE_DIR:-/var/lib/cloister/images}
readonly kKeyring=/usr/share/keyrings/debian-archive-keyring.gpg
. "$kHere/builder/apt_mirror.sh"
. "$kHere/builder/assemble.sh"

Usage() {
  cat <<END
usage: deploy/images/build.sh [--force] NAME...   build images that are missing or whose recipe changed
       deploy/images/build.sh --list              names of the recipes, and what is built
Images go to $kImages (set CLOISTER_IMAGE_DIR to change that).
END
}

Fail() { echo "build.sh: $*" >&2; exit 1; }

Known() { (cd "$kHere" && printf '%s\n' *.recipe | sed 's/\.recipe$//'); }

# What decides whether an image is up to date: its recipe and the builder.
RecipeHash() {
  cat "$kHere/$1.recipe" "$kHere"/builder/* "$kHere/build.sh" | sha256sum | cut -c 1-32
}

IsCurrent() { grep -qs "\"recipe_hash\": \"$(RecipeHash "$1")\"" "$kImages/$1/manifest.json"; }

List() {
  local name
  for name in $(Known); do
    if IsCurrent "$name"; then echo "$name built"
    elif [ -e "$kImages/$name" ]; then echo "$name outdated"
    else echo "$name not built"
    fi
  done
}

CheckMachine() {
  [ "$(id -u)" = 0 ] ||
    Fail "images hold files owned by root: run it as root, e.g. sudo deploy/images/build.sh $*"
  command -v mmdebstrap >/dev/null || Fail "mmdebstrap is missing: apt-get install mmdebstrap"
  [ "$(dpkg --print-architecture)" = amd64 ] || Fail "images can be built on amd64 only"
  [ -r "$kKeyring" ] || Fail "$kKeyring is missing: apt-get install debian-archive-keyring"
}

# The image being built, and the process being waited for: what CleanUp needs to know.
building=
child=

# Removes what an unfinished build left, and puts an image that was being replaced back in place.
CleanUp() {
  [ -n "$building" ] || return 0
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null && wait "$child" 2>/dev/null || true
  fi
  if [ -d "$kImages/.$building.old" ] && [ ! -e "$kImages/$building" ]; then
    mv "$kImages/.$building.old" "$kImages/$building"
  fi
  rm -rf --one-file-system "$kImages/.$building.partial" "$kImages/.$building.old"
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

# Check ROOTFS: fails with a list of what is wrong.
Check() {
  local run=(chroot "$1" /usr/bin/python"$python" -I) unresolved
  "${run[@]}" - / "$python" <"$kHere/builder/check_image.py" >&2 || Fail "$name holds what it must not (above)"
  unresolved=$(cd "$1" && find usr/lib -name '*.so*' -type f ! -name 'ld-linux*' | while read -r library; do
    chroot . /lib64/ld-linux-x86-64.so.2 --list "/$library" 2>&1 | sed -n "s|.*not found.*|$library: &|p"
  done)
  [ -z "$unresolved" ] || Fail "libraries of $name need what is not in it:"$'\n'"$unresolved"
  "${run[@]}" -B -c 'import asyncio, bz2, ctypes, decimal, lzma, multiprocessing, sqlite3, ssl, uuid, zoneinfo
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 50
zoneinfo.ZoneInfo("Europe/Berlin")' || Fail "the standard library of $name is not whole"
  HOME=/nonexistent MPLCONFIGDIR=/nonexistent "${run[@]}" -B -c "$smoke" 2>"$2" ||
    { cat "$2" >&2; Fail "$name fails its own smoke test"; }
}

# WriteManifest ROOTFS CONTENTS MANIFEST: names the packages of which something is in the image.
WriteManifest() {
  chroot "$1" "/usr/bin/python$python" -I -c '
import json, os, platform, sys, time
name, suite, recipe_hash = sys.argv[1:]
contents = (line.rstrip("\n").split("\t") for line in sys.stdin)
print(json.dumps({
    "name": name,
    "python_version": platform.python_version(),
    "debian_suite": suite,
    "recipe_hash": recipe_hash,
    "built_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    "packages": sorted({package for package, path in contents if os.path.isfile(path)}),
}, indent=2))' "$name" "$suite" "$(RecipeHash "$name")" <"$2" >"$3"
}

# Build NAME
Build() {
  local name=$1 partial=$kImages/.$1.partial
  local suite python packages=() keep=() smoke=
  unset -f finish
  exec 9>"$kImages/.$name.lock"
  flock -n 9 || { echo "$name: waiting for another build of it"; flock 9; }
  building=$name
  CleanUp  # of a build that was killed
  if [ -z "$force" ] && IsCurrent "$name"; then
    echo "$name: up to date"
    return
  fi
  echo "$name: building"
  . "$kHere/$name.recipe"
  mkdir -p "$partial"/{rootfs,sdk}
  Extract "$partial/tree" "$partial/contents"
  AssembleSdk "$partial/tree" "$partial/sdk"
  AssembleRootfs "$partial/tree" "$partial/rootfs"
  Check "$partial/rootfs" "$partial/smoke.log"
  WriteManifest "$partial/rootfs" "$partial/contents" "$partial/manifest.json"
  rm -rf --one-file-system "$partial"/{tree,contents,contents.log,contents.apt,smoke.log}
  chmod 755 "$partial"
  if [ -e "$kImages/$name" ]; then mv "$kImages/$name" "$kImages/.$name.old"; fi
  mv "$partial" "$kImages/$name"
  CleanUp
  echo "$name: built in $kImages/$name ($(du -sh "$kImages/$name/rootfs" | cut -f 1))"
}

force=
names=()
for argument in "$@"; do
  case $argument in
    --list) List; exit ;;
    --force) force=1 ;;
    --help | -h) Usage; exit ;;
    -*) Usage >&2; exit 2 ;;
    *) names+=("$argument") ;;
  esac
done
[ ${#names[@]} -gt 0 ] || { Usage >&2; exit 2; }
for name in "${names[@]}"; do
  Known | grep -qxF -- "$name" || Fail "no recipe for '$name'; known: $(Known | tr '\n' ' ')"
done
CheckMachine "${names[@]}"
mkdir -p "$kImages"
trap CleanUp EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
for name in "${names[@]}"; do Build "$name"; done
