"""Builds the Jupyter kernel as its users do, without a network: a wheel, and an installation of that.

    build_package.py ROOT OUT

Leaves OUT/site with the installed package. The checkout stays as it is: a copy of it is built.
"""

import pathlib
import shutil
import subprocess
import sys


def main():
    root, out = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    shutil.rmtree(out, ignore_errors=True)
    source = out / "source"
    shutil.copytree(root / "clients/jupyter", source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--root-user-action=ignore", "--target", out / "site", source],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(done.stdout)
    for wanted in ("cloister_kernel/py.typed", "cloister_kernel/__main__.py"):
        assert (out / "site" / wanted).is_file(), wanted
    shutil.copy(source / "pyproject.toml", out / "site")


if __name__ == "__main__":
    main()
