#!/usr/bin/env bash
# Builds runtime images: what guests see as their whole world. See README.md beside this file.
set -euo pipefail

readonly kHere=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly kImages=${CLOISTER_IMAGE_DIR:-/var/lib/cloister/images}
# NAME is a link to NAME.HASH here: a server that began with one version keeps it.
readonly kVersions=$kImages/.versions
readonly kKeyring=/usr/share/keyrings/debian-archive-keyring.gpg
. "$kHere/builder/packages.sh"
. "$kHere/builder/assemble.sh"
. "$kHere/builder/inspect.sh"

Usage() {
  cat <<END
usage: deploy/images/build.sh [--force] NAME...   build images that are missing or whose recipe changed
       deploy/images/build.sh --list              names of the recipes, and what is built
       deploy/images/build.sh --prune             remove replaced versions that no server uses
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
  if [ -d "$kVersions/$building.unversioned" ] && [ ! -e "$kImages/$building" ]; then
    mv "$kVersions/$building.unversioned" "$kImages/$building"
  fi
  rm -rf --one-file-system "$kImages/.$building.partial" "$kImages/.$building.link"
}

# Lock NAME: one build or removal of an image at a time.
Lock() {
  exec 9>"$kImages/.$1.lock"
  flock -n 9 || { echo "$1: waiting for another build of it"; flock 9; }
}

# ContentHash DIRECTORY: of the names, kinds, modes and contents of all that is in it.
ContentHash() {
  (cd "$1" && {
    find . -printf '%p %y %m %l\n' | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c 1-16)
}

# Publish NAME PARTIAL: makes what was built the version that servers find from now on.
Publish() {
  local version
  version=$1.$(ContentHash "$2")
  install -d -m 755 "$kVersions"
  # The same once more: the version that is there may be in use.
  [ -d "$kVersions/$version" ] || mv "$2" "$kVersions/$version"
  ln -sfn ".versions/$version" "$kImages/.$1.link"
  if [ -d "$kImages/$1" ] && [ ! -L "$kImages/$1" ]; then
    # From before there were versions; servers that use it do not mind its new name.
    rm -rf --one-file-system "$kVersions/$1.unversioned"
    mv "$kImages/$1" "$kVersions/$1.unversioned"
  fi
  mv -T "$kImages/.$1.link" "$kImages/$1"
}

# Removes versions that no link names and no server has locked.
Prune() {
  local version name
  for version in "$kVersions"/*; do
    [ -d "$version" ] || continue
    name=$(basename "$version")
    name=${name%.*}
    Lock "$name"
    [ "$(readlink -f "$kImages/$name")" != "$version" ] || continue
    exec 8<"$version/manifest.json"
    if flock -n -x 8; then
      rm -rf --one-file-system "$version"
      echo "$(basename "$version"): removed"
    else
      echo "$(basename "$version"): in use"
    fi
    exec 8<&-
  done
}

# Build NAME
Build() {
  local name=$1 partial=$kImages/.$1.partial
  local suite python packages=() keep=() smoke=
  unset -f finish
  Lock "$name"
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
  Publish "$name" "$partial"
  CleanUp
  echo "$name: built in $(readlink -f "$kImages/$name") ($(du -sh "$kImages/$name/rootfs" | cut -f 1))"
}

force=
prune=
names=()
for argument in "$@"; do
  case $argument in
    --list) List; exit ;;
    --force) force=1 ;;
    --prune) prune=1 ;;
    --help | -h) Usage; exit ;;
    -*) Usage >&2; exit 2 ;;
    *) names+=("$argument") ;;
  esac
done
[ ${#names[@]} -gt 0 ] || [ -n "$prune" ] || { Usage >&2; exit 2; }
for name in "${names[@]}"; do
  Known | grep -qxF -- "$name" || Fail "no recipe for '$name'; known: $(Known | tr '\n' ' ')"
done
CheckMachine "${names[@]}"
mkdir -p "$kImages"
trap CleanUp EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
for name in "${names[@]}"; do Build "$name"; done
if [ -n "$prune" ]; then Prune; fi
