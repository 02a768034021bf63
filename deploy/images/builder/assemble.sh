# Turns a tree of extracted Debian packages into a runtime image and an SDK.
#
# A runtime image is what is named here and nothing else: paths are moved in, never cleaned out, so
# that a package that grows a tool next year does not bring it along. No maintainer script is ever
# run; what theirs would have done and Python needs is done here by hand.
#
# Uses from the recipe: python ("3.14"), keep (further paths), finish ROOTFS (may be undefined).

readonly kLibraries=usr/lib/x86_64-linux-gnu

# Move TREE PATH ROOTFS: moves one path, where it exists, keeping its place.
Move() {
  [ -e "$1/$2" ] || [ -L "$1/$2" ] || return 0
  mkdir -p "$3/$(dirname "$2")"
  mv "$1/$2" "$3/$2"
}

# AssembleSdk TREE SDK: what a guest binary is compiled and linked against. Python's headers only: the
# C library's are the build machine's. The shared library is copied, because the runtime image needs it
# as well.
AssembleSdk() {
  Move "$1" "usr/include/python$python" "$2"
  Move "$1" "usr/include/x86_64-linux-gnu/python$python" "$2"
  mkdir -p "$2/$kLibraries"
  cp -a "$1/$kLibraries/libpython$python.so"* "$2/$kLibraries/"
}

# AssembleRootfs TREE ROOTFS
AssembleRootfs() {
  local tree=$1 rootfs=$2 path
  local paths=("usr/bin/python$python" "usr/lib/python$python" usr/lib/python3/dist-packages usr/lib64
    usr/share/zoneinfo etc/mime.types etc/protocols etc/services etc/ssl/openssl.cnf
    "$kLibraries/ossl-modules" "${keep[@]}")
  for path in "${paths[@]}"; do Move "$tree" "$path" "$rootfs"; done
  # Shared libraries; not the links and the little linker scripts (libm.so) that only linking needs.
  (cd "$tree" && find usr/lib "$kLibraries" -maxdepth 1 ! -type d \
    \( -name '*.so.*' -o -name '*.so' -type f -size +1k \)) |
    while read -r path; do Move "$tree" "$path" "$rootfs"; done
  PrunePython "$rootfs"
  BundleCertificates "$tree" "$rootfs"
  WriteSystemFiles "$rootfs"
  if declare -F finish >/dev/null; then finish "$rootfs"; fi
  find "$rootfs" -type f -perm /111 ! -name '*.so*' ! -path "$rootfs/usr/bin/*" -exec chmod a-x {} +
  ldconfig -X -r "$rootfs"
  # The sources do not change inside an image: let imports skip the check.
  chroot "$rootfs" "/usr/bin/python$python" -I -m compileall -q --invalidation-mode unchecked-hash \
    "/usr/lib/python$python" /usr/lib/python3
}

# Removes what only developers of Python and of its packages use.
PrunePython() {
  local lib=$1/usr/lib/python$python packages=$1/usr/lib/python3/dist-packages
  mkdir -p "$packages"
  rm -rf "$lib"/{test,idlelib,ensurepip,turtledemo,EXTERNALLY-MANAGED,sitecustomize.py} "$lib"/config-*
  # Extension modules for other versions than the image's, and the packages' own tests. (numpy.testing
  # imports one module of numpy's tests.)
  find "$packages" -name '*.cpython-*.so' ! -name "*.cpython-${python/./}-*" -delete
  find "$packages" -depth -type d \( -name tests -o -name include \) ! -path '*/numpy/_core/tests' \
    -exec rm -rf {} +
  find "$1/usr/lib" -name '__pycache__' -prune -exec rm -rf {} +
  find "$1/usr/lib" \( -name '*.a' -o -name '*.o' -o -name '*.h' -o -name '*.pyx' -o -name '*.pxd' \) -delete
}

# OpenSSL's directory, with one bundle in place of the links that a maintainer script makes.
BundleCertificates() {
  mkdir -p "$2/etc/ssl/certs" "$2/usr/lib/ssl"
  cat "$1"/usr/share/ca-certificates/mozilla/*.crt >"$2/etc/ssl/certs/ca-certificates.crt"
  ln -s /etc/ssl/certs/ca-certificates.crt "$2/usr/lib/ssl/cert.pem"
  ln -s /etc/ssl/certs "$2/usr/lib/ssl/certs"
  ln -s /etc/ssl/openssl.cnf "$2/usr/lib/ssl/openssl.cnf"
}

# The little of a system that Python programs look at. The user "sandbox" is who they run as.
WriteSystemFiles() {
  local link
  for link in bin lib lib64; do ln -s "usr/$link" "$1/$link"; done
  ln -s "python$python" "$1/usr/bin/python3"
  mkdir -p "$1"/{dev,proc,sys,workspace}
  install -d -m 1777 "$1/tmp"
  cat >"$1/etc/passwd" <<'END'
root:x:0:0:root:/:/usr/sbin/nologin
sandbox:x:1000:1000:sandbox:/workspace:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
END
  printf '%s\n' root:x:0: sandbox:x:1000: nogroup:x:65534: >"$1/etc/group"
  printf '127.0.0.1 localhost sandbox\n::1 localhost\n' >"$1/etc/hosts"
  echo sandbox >"$1/etc/hostname"
  printf '%s: files\n' passwd group hosts services protocols >"$1/etc/nsswitch.conf"
  ln -s /usr/share/zoneinfo/Etc/UTC "$1/etc/localtime"
  printf '/usr/lib/x86_64-linux-gnu\n/usr/lib\n' >"$1/etc/ld.so.conf"
}
