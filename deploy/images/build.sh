#!/usr/bin/env bash
# Builds runtime images: what guests see as their whole world. See README.md beside this file.
set -euo pipefail

readonly kHere=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly kImages=${CLOISTER_IMAGE_DIR:-/var/lib/cloister/images}
readonly kKeyring=/usr/share/keyrings/debian-archive-keyring.gpg
. "$kHere/builder/packages.sh"
. "$kHere/builder/assemble.sh"
. "$kHere/builder/inspect.sh"

Usage() {
  cat <<END
usage: deploy/images/build.sh [--force] NAME...   build images that are missing or whose recipe changed
       deploy/images/build.sh --list              names of the recipes, and what is built
Images go to $kImages (set CLOISTER_IMAGE_DIR to change that).
END
}

Fail() { echo "build.sh: $*" >&2; exit 1; }

Known() { (cd "$kHere" && printf '%s\n' *.recipe | sed 's/\.recipe$//'); }

# What decides whether an image is up to date: its recipe, and all that turns it into one.
RecipeHash() {
  cat "$kHere/$1.recipe" "$kHere"/builder/*.sh "$kHere"/builder/*.py | sha256sum | cut -c 1-32
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
