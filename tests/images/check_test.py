"""check_image.py finds each thing that an image must not hold."""

import os
import pathlib
import shutil
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy/images/builder"))

import check_image  # noqa: E402

VERSION = "3.14"


def elf(kind, segment):
    """The start of an ELF file of type `kind` with one program header of type `segment`."""
    header = bytearray(64)
    header[:4] = b"\x7fELF"
    header[16:18] = kind.to_bytes(2, "little")
    header[32:40] = (64).to_bytes(8, "little")
    header[54:56] = (56).to_bytes(2, "little")
    header[56:58] = (1).to_bytes(2, "little")
    return bytes(header) + segment.to_bytes(4, "little") + bytes(52)


SHARED_OBJECT = elf(3, 1)
PROGRAM = elf(3, 3)


class CheckTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        for name in check_image.EMPTY_DIRECTORIES:
            (self.root / name).mkdir()
        for name in check_image.REQUIRED_PATHS:
            self.add(name, b"x")
        self.add("usr/bin/python3.14", PROGRAM, 0o755)
        self.add("usr/lib/x86_64-linux-gnu/libz.so.1", SHARED_OBJECT)
        self.add("usr/lib/python3.14/os.py", b"import sys\n")

    def add(self, path, content=b"", mode=0o644):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
        return file

    def findings(self):
        return list(check_image.check(str(self.root), VERSION))

    def test_good_image(self):
        self.assertEqual(self.findings(), [])

    def test_each_forbidden_program(self):
        for name in check_image.FORBIDDEN_NAMES:
            with self.subTest(name):
                file = self.add(f"usr/lib/{name}")
                self.assertEqual(self.findings(), [f"usr/lib/{name}: forbidden program"])
                file.unlink()

    def test_link_named_like_a_shell(self):
        os.symlink("python3.14", self.root / "usr/bin/sh")
        self.assertEqual(self.findings(), ["usr/bin/sh: forbidden program"])

    def test_files(self):
        for path, content, mode, what in (
            ("usr/bin/tool", b"#!/usr/bin/python3", 0o755, "executable"),
            ("usr/lib/hidden", PROGRAM, 0o644, "a program"),
            ("usr/lib/static", elf(2, 1), 0o644, "a program"),
            ("usr/lib/x.so", SHARED_OBJECT, 0o4644, "setuid or setgid"),
            ("usr/lib/x.so", SHARED_OBJECT, 0o2644, "setuid or setgid"),
            ("etc/config", b"", 0o666, "writable by everybody"),
            ("usr/lib/libx.a", b"", 0o644, "of use only for building"),
        ):
            with self.subTest(what=what, path=path):
                file = self.add(path, content, mode)
                self.assertEqual(self.findings(), [f"{path}: {what}"])
                file.unlink()

    def test_special_file(self):
        os.mkfifo(self.root / "etc/pipe")
        self.assertEqual(self.findings(), ["etc/pipe: neither a file nor a directory nor a link"])

    def test_paths(self):
        for path in check_image.FORBIDDEN_PATHS:
            with self.subTest(path):
                (self.root / path).mkdir(parents=True)
                self.assertIn(f"{path}: must not exist", self.findings())
                (self.root / path).rmdir()
        shutil.rmtree(self.root / "var")
        self.add("tmp/left", b"")
        self.assertEqual(self.findings(), ["tmp: must be empty"])

    def test_unexpected_at_the_top(self):
        (self.root / "nonexistent").mkdir()
        self.assertEqual(self.findings(), ["nonexistent: not expected here"])

    def test_missing(self):
        (self.root / "etc/passwd").unlink()
        self.assertEqual(self.findings(), ["etc/passwd: missing"])


if __name__ == "__main__":
    unittest.main()
