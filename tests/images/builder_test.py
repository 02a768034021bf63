"""deploy/images/build.sh as its users meet it: builds real images, in a directory of its own.

One build serves the tests that only look at it. Needs root and the Debian mirror.
"""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(__file__).resolve().parents[2] / "deploy/images/build.sh"
IMAGE = "python3.14"
NO_MIRROR = "http://127.0.0.1:9/debian"


class Builder(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cloister-images."))
        self.addCleanup(shutil.rmtree, self.directory)

    def environment(self, **more):
        return dict(os.environ, CLOISTER_IMAGE_DIR=str(self.directory), **more)

    def build(self, *arguments, **environment):
        return subprocess.run(
            [BUILD, *arguments], env=self.environment(**environment), capture_output=True, text=True, timeout=240
        )

    def left(self):
        """Names in the image directory, without the lock files and the versions."""
        names = (p.name for p in self.directory.iterdir())
        return sorted(name for name in names if not name.endswith(".lock") and name != ".versions")

    def versions(self):
        return sorted(p.name for p in self.directory.glob(".versions/*"))


class WithoutBuilding(Builder):
    def test_unknown_name_lists_the_known(self):
        result = self.build("python2.7")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no recipe for 'python2.7'", result.stderr)
        for name in ("python3.13", "python3.14", "python3.14-data", "python3.15"):
            self.assertIn(name, result.stderr)
        self.assertEqual(self.left(), [])

    def test_a_name_is_no_pattern_and_no_path(self):
        for name in ("python3.1.", "*", "../images/python3.14", ""):
            with self.subTest(name):
                self.assertEqual(self.build(name).returncode, 1)
        self.assertEqual(self.left(), [])

    def test_usage(self):
        for arguments in ((), ("--frobnicate",)):
            result = self.build(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertIn("usage:", result.stderr)
        self.assertEqual(self.build("--help").returncode, 0)
        self.assertIn(f"{IMAGE} not built", self.build("--list").stdout)

    def test_unreachable_mirror_leaves_nothing(self):
        result = self.build(IMAGE, CLOISTER_DEBIAN_MIRROR=NO_MIRROR)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cannot get the packages of python3.14", result.stderr)
        self.assertEqual(self.left(), [])

    def test_other_users_are_told_what_to_do(self):
        result = subprocess.run(
            [BUILD, IMAGE], env=self.environment(), capture_output=True, text=True, user=65534, group=65534,
            extra_groups=[],
        )  # fmt: skip
        self.assertEqual(result.returncode, 1)
        self.assertIn("run it as root", result.stderr)


class Pruning(Builder):
    def version(self, name, linked=None):
        """Something that looks like a version of an image."""
        version = self.directory / ".versions" / name
        (version / "rootfs").mkdir(parents=True)
        (version / "manifest.json").write_text("{}")
        if linked:
            (self.directory / linked).symlink_to(f".versions/{name}")
        return version

    def test_versions_in_use_stay(self):
        self.version("python3.14.aaaa", linked="python3.14")
        used = self.version("python3.14.bbbb")
        self.version("python3.14.cccc")
        self.version("python3.14-data.dddd")
        with (used / "manifest.json").open() as manifest:
            fcntl.flock(manifest, fcntl.LOCK_SH)
            result = self.build("--prune")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(self.versions(), ["python3.14.aaaa", "python3.14.bbbb"])
            self.assertIn("python3.14.bbbb: in use", result.stdout)
        self.build("--prune")
        self.assertEqual(self.versions(), ["python3.14.aaaa"])

    def test_nothing_to_prune(self):
        result = self.build("--prune")
        self.assertEqual((result.returncode, result.stdout), (0, ""))


class Building(Builder):
    def start(self, *arguments):
        return subprocess.Popen(
            [BUILD, *arguments], env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def interrupt(self, number):
        """Starts a build, sends it a signal while it downloads, and returns it ended."""
        build = self.start("--force", IMAGE)
        self.assertEqual(build.stdout.readline(), f"{IMAGE}: building\n")
        build.send_signal(number)
        build.communicate(timeout=60)
        return build

    def test_life_of_an_image(self):
        # Two builds at once: one builds, the other waits and finds it done.
        first, second = self.start(IMAGE), self.start(IMAGE)
        outputs = sorted((p.communicate(timeout=240)[0] for p in (first, second)), key=len)
        self.assertEqual((first.returncode, second.returncode), (0, 0))
        self.assertEqual(sum("building\n" in output for output in outputs), 1, outputs)
        self.assertEqual(self.left(), [IMAGE])
        image = self.directory / IMAGE
        self.check_manifest(image)
        self.check_content(image)

        # Nothing changed: nothing is done.
        before = (image / "manifest.json").stat()
        result = self.build(IMAGE)
        self.assertEqual((result.returncode, result.stdout), (0, f"{IMAGE}: up to date\n"))
        self.assertEqual((image / "manifest.json").stat().st_ino, before.st_ino)
        self.assertIn(f"{IMAGE} built", self.build("--list").stdout)

        # A rebuild that is ended, or that fails, leaves the image that was there.
        for number, status in ((signal.SIGTERM, 143), (signal.SIGHUP, 143)):
            self.assertEqual(self.interrupt(number).returncode, status)
            self.assertEqual(self.left(), [IMAGE])
        self.assertEqual(self.build("--force", IMAGE, CLOISTER_DEBIAN_MIRROR=NO_MIRROR).returncode, 1)
        self.assertEqual(self.left(), [IMAGE])
        self.assertEqual((image / "manifest.json").stat().st_ino, before.st_ino)

        # What a killed build left is removed by the next.
        (self.directory / f".{IMAGE}.partial/rootfs").mkdir(parents=True)
        self.assertEqual(self.build(IMAGE).stdout, f"{IMAGE}: up to date\n")
        self.assertEqual(self.left(), [IMAGE])

        # An image from before there were versions works as it is, also where a build was killed while it
        # replaced it.
        first_version = image.resolve()
        image.unlink()
        first_version.rename(self.directory / f".versions/{IMAGE}.unversioned")
        self.assertEqual(self.build(IMAGE).stdout, f"{IMAGE}: up to date\n")
        self.assertFalse(image.is_symlink())

        # It becomes a version when it is replaced, and what has it open goes on.
        with (image / "rootfs/etc/passwd").open() as in_use:
            fcntl.flock(os.open(image / "manifest.json", os.O_RDONLY), fcntl.LOCK_SH)
            self.rebuild_changed()
            self.assertTrue(image.is_symlink())
            self.assertEqual(len(self.versions()), 2)
            self.assertEqual(os.fstat(in_use.fileno()).st_nlink, 1)
            self.assertIn("in use", self.build("--prune").stdout)
            self.assertTrue((self.directory / f".versions/{IMAGE}.unversioned/rootfs/etc/passwd").exists())
        self.check_content(image)

    def rebuild_changed(self):
        """Builds by a recipe that says another thing, in a copy of the builder."""
        copy = self.directory.parent / (self.directory.name + ".builder")
        shutil.copytree(BUILD.parent, copy)
        self.addCleanup(shutil.rmtree, copy)
        with (copy / f"{IMAGE}.recipe").open("a") as recipe:
            recipe.write('\nfinish() { echo changed >"$1/etc/motd"; }\n')
        subprocess.run([copy / "build.sh", IMAGE], env=self.environment(), check=True, capture_output=True, timeout=240)

    def check_manifest(self, image):
        manifest = json.loads((image / "manifest.json").read_text())
        self.assertEqual((manifest["name"], manifest["debian_suite"]), (IMAGE, "forky"))
        self.assertRegex(manifest["python_version"], r"^3\.14\.\d+$")
        self.assertEqual(manifest["packages"], sorted(manifest["packages"]))
        self.assertTrue(any(p.startswith("libpython3.14 3.14.") for p in manifest["packages"]))
        self.assertFalse(any(p.startswith(("dpkg ", "debconf ", "libc6-dev ")) for p in manifest["packages"]))

    def check_content(self, image):
        rootfs = image / "rootfs"
        self.assertEqual([p.name for p in (rootfs / "usr/bin").iterdir() if not p.is_symlink()], ["python3.14"])
        for name in ("bin", "lib", "lib64"):
            self.assertEqual(os.readlink(rootfs / name), f"usr/{name}")
        self.assertEqual((rootfs / "tmp").stat().st_mode & 0o7777, 0o1777)
        self.assertTrue((image / "sdk/usr/include/python3.14/Python.h").exists())
        self.assertTrue((image / "sdk/usr/include/x86_64-linux-gnu/python3.14/pyconfig.h").exists())
        self.assertTrue((image / "sdk/usr/lib/x86_64-linux-gnu/libpython3.14.so").resolve().is_file())
        # Every module of the standard library is compiled.
        library = rootfs / "usr/lib/python3.14"
        self.assertTrue((library / "asyncio/__pycache__/events.cpython-314.pyc").exists())


if __name__ == "__main__":
    unittest.main()
