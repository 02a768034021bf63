"""Each Python example of the README runs, and prints what the README says."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

from support import ServerTest

README = pathlib.Path(os.environ["CLOISTER_SOURCE"], "clients/python/README.md")
# Of each example, in its order: what its output has.
EXPECTED = [
    ("hello", "{'answer': 42}", "RAISED", "Raised ZeroDivisionError", "WALL_TIMEOUT"),
    ("42", "41", "1,2", "Started\nOutput", "Finished", "Ada"),
    ("7.75",),
    ("1 2 right\n10 -4 right\n0 0 right",),
    ("265252859812191058636308480000000", "168", "[4, 25, 168]"),
    ("variables.config.users[1]: module cannot be cloned", "{'users'"),
]


class ReadmeTest(ServerTest):
    def run_python(self, code):
        # In a file, since the sources of functions are asked for.
        path = self.server.directory / "example.py"
        path.write_text(code)
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120,
                              env={**os.environ, "CLOISTER_SERVER": self.server.address})
        self.assertEqual((done.returncode, done.stderr), (0, ""), code)
        return done.stdout

    def test_the_examples(self):
        examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)
        self.assertEqual(len(examples), len(EXPECTED))
        for code, expected in zip(examples, EXPECTED):
            output = self.run_python(code)
            for text in expected:
                self.assertIn(text, output)

    def test_the_first_command(self):
        (command,) = re.findall(r"^python3 -c '(.*?)' +# 42$", README.read_text(), re.M)
        self.assertEqual(self.run_python(command), "42\n")


if __name__ == "__main__":
    unittest.main()
