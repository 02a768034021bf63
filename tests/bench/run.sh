#!/usr/bin/env bash
# Runs every benchmark against a server of its own and leaves one JSON file each.
# Usage: tests/bench/run.sh [--duration 10s] [OUTPUT_DIRECTORY]   (default: build/bench)
# Needs a release build, a runtime image, and what cloisterd needs (root, or user namespaces).
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=${CLOISTER_BIN:-$root/build/release/bin}
duration=10s
if [[ ${1-} == --duration ]]; then
  duration=${2:?--duration needs a value such as 10s}
  shift 2
fi
output=${1:-$root/build/bench}

for program in cloister cloisterd cloister-spawner; do
  [[ -x $bin/$program ]] || { echo "$0: no $bin/$program; build the release preset first" >&2; exit 2; }
done
mkdir -p "$output"
scratch=$(mktemp -d)
chmod 755 "$scratch"
address=unix:$scratch/cloister.sock
server=
stop() {
  [[ -z $server ]] || { kill "$server" && wait "$server"; } 2>/dev/null || true
  server=
}
trap 'stop; rm -rf "$scratch"' EXIT

"$bin/cloisterd" --listen "$address" 2>"$output/cloisterd.log" &
server=$!
for ((attempt = 0; attempt < 300; attempt++)); do
  "$bin/cloister" --server "$address" run -c pass 2>/dev/null && break
  kill -0 "$server" 2>/dev/null || { echo "$0: cloisterd ended; see $output/cloisterd.log" >&2; exit 1; }
  sleep 0.1
done

"$bin/cloister" --server "$address" info --json >"$output/info.json"
for bench in echo fresh session clone transfer fork parallel interrupt; do
  echo "== $bench"
  "$bin/cloister" --server "$address" bench "$bench" --duration "$duration" --json >"$output/$bench.json"
done
echo "== python"
site=$root/build/release/python/site
[[ -d $site ]] || /usr/bin/python3 "$root/tests/python/build_package.py" "$root" "$root/build/release/python"
PYTHONPATH=$site /usr/bin/python3 "$root/tests/bench/python_bench.py" --server "$address" --cloister "$bin/cloister" \
  --duration "$duration" --json >"$output/python.json"
echo "== jupyter"
kernel=$root/build/release/jupyter/site
[[ -d $kernel ]] || /usr/bin/python3 "$root/tests/jupyter/build_package.py" "$root" "$root/build/release/jupyter"
PYTHONPATH=$kernel:$site /usr/bin/python3 "$root/tests/bench/jupyter_bench.py" --server "$address" --json >"$output/jupyter.json"
stop
echo "== density"
"$bin/cloister" bench density --json >"$output/density.json"

python3 - "$output" <<'END'
import json, pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    report = json.loads(path.read_text())
    for target in report.get("targets", []):
        verdict = {True: "met", False: "MISSED", None: "unknown"}[target["met"]]
        print(f"{report['bench']:8} {verdict:8} {target['name']}: {target['measured']} (limit {target['limit']})")
END
