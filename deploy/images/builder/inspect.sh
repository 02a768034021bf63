# Looks at a finished image: that it is safe, whole and works; and writes down what it is.
#
# Uses from the recipe: suite, python, smoke.

# Check ROOTFS LOG: fails with a list of what is wrong.
Check() {
  local run=(chroot "$1" /usr/bin/python"$python" -I) unresolved
  HOME=/tmp "${run[@]}" -B -c 'import asyncio, bz2, ctypes, decimal, lzma, multiprocessing, sqlite3, ssl, uuid, zoneinfo
assert ssl.create_default_context().cert_store_stats()["x509_ca"] > 50
zoneinfo.ZoneInfo("Europe/Berlin")' || Fail "the standard library of $name is not whole"
  HOME=/tmp "${run[@]}" -B -c "$smoke" 2>"$2" || { cat "$2" >&2; Fail "$name fails its own smoke test"; }
  find "$1/tmp" -mindepth 1 -delete
  unresolved=$(cd "$1" && find usr/lib -name '*.so*' -type f ! -name 'ld-linux*' | while read -r library; do
    chroot . /lib64/ld-linux-x86-64.so.2 --list "/$library" 2>&1 | sed -n "s|.*not found.*|$library: &|p"
  done)
  [ -z "$unresolved" ] || Fail "libraries of $name need what is not in it:"$'\n'"$unresolved"
  "${run[@]}" - / "$python" <"$kHere/builder/check_image.py" >&2 || Fail "$name holds what it must not (above)"
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
