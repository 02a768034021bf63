"""Generates the protobuf modules while the package is built; all else is in pyproject.toml.

The protos are those of the checkout, or the copy that an sdist has. `protoc` does it (Debian: protobuf-compiler), or the
module grpc_tools (PyPI: grpcio-tools).
"""

import pathlib
import shutil
import subprocess
import sys

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = pathlib.Path(__file__).resolve().parent
PROTOS = next((path for path in (HERE / "proto", HERE.parent.parent / "proto") if path.is_dir()), None)
GOOGLE = ("google/rpc/status.proto", "google/rpc/error_details.proto")
# What is a namespace of Google's everywhere else is a package of ours, see cloister/google_rpc.
GOOGLE_IMPORT = "from google.rpc import"
OUR_IMPORT = "from cloister.google_rpc import"


def sources():
    if PROTOS is None:
        sys.exit("setup.py: no protos: build from a checkout or an sdist of Cloister")
    return sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "cloister/v1").glob("*.proto")) + list(GOOGLE)


def compiler():
    found = shutil.which("protoc")
    if found:
        return [found]
    try:
        import grpc_tools  # noqa: F401
    except ImportError:
        sys.exit("setup.py: needs protoc (Debian: protobuf-compiler) or grpcio-tools to generate the messages")
    return [sys.executable, "-m", "grpc_tools.protoc"]


def generate(package_root):
    """Writes the modules and their type stubs below `package_root`, which has the directory of `cloister`."""
    out = pathlib.Path(package_root, "generated-protos")
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run([*compiler(), f"-I{PROTOS}", f"--python_out={out}", f"--pyi_out={out}", *sources()], check=True)
    targets = {"cloister/v1": "cloister/v1", "google/rpc": "cloister/google_rpc/generated"}
    for made, place in targets.items():
        target = pathlib.Path(package_root, place)
        target.mkdir(parents=True, exist_ok=True)
        for file in (out / made).iterdir():
            (target / file.name).write_text(file.read_text().replace(GOOGLE_IMPORT, OUR_IMPORT))
    shutil.rmtree(out)


class BuildWithProtos(build_py):
    def run(self):
        super().run()
        generate(self.build_lib)


class SdistWithProtos(sdist):
    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        for name in sources():
            target = pathlib.Path(base_dir, "proto", name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(PROTOS / name, target)


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildWithProtos, "sdist": SdistWithProtos})
