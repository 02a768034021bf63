"""Builds the Python client as its users do, without a network: an sdist, a wheel of that, and an installation.

    build_package.py ROOT OUT

Leaves OUT/dist with both and OUT/site with the installed package, which the other tests run against. The checkout
stays as it is: a copy of it is built.
"""

import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile


def run(arguments, directory):
    done = subprocess.run(arguments, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}\n{done.stdout}")


def main():
    root, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    shutil.rmtree(out, ignore_errors=True)
    checkout = out / "checkout"
    leftovers = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")  # of who installs from the checkout
    shutil.copytree(root / "clients/python", checkout / "clients/python", ignore=leftovers)
    shutil.copytree(root / "proto", checkout / "proto")

    run([sys.executable, "setup.py", "-q", "sdist", "--dist-dir", out / "dist"], checkout / "clients/python")
    (sdist,) = (out / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        archive.extractall(out / "unpacked")
    assert any(name.endswith("proto/cloister/v1/value.proto") for name in names), names

    # Of the sdist, and nothing beside it.
    shutil.rmtree(checkout)
    (source,) = (out / "unpacked").iterdir()
    run([sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", out / "dist"], source)
    (wheel,) = (out / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in ("cloister/py.typed", "cloister/v1/value_pb2.py", "cloister/v1/value_pb2.pyi",
                   "cloister/google_rpc/generated/status_pb2.py", "cloister/executor/executor.py"):
        assert wanted in names, f"{wanted} is not in {wheel.name}: {names}"
    assert not any(name.startswith(("google/", "tests/")) for name in names), names

    run([sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--disable-pip-version-check",
         "--root-user-action=ignore", "--target", out / "site", wheel], out)
    shutil.copy(source / "pyproject.toml", out / "site")
    print(f"{sdist.name}, {wheel.name}")


if __name__ == "__main__":
    main()
