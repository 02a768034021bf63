"""Debian's jupyter_kernel_test, all of it."""

import os
import unittest

import jupyter_kernel_test
from support import Server, install_kernelspec


class ConformanceTest(jupyter_kernel_test.KernelTests):
    kernel_name = "cloister"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [
        {"text": "zi", "matches": {"zip"}},
        {"text": "import jso", "matches": {"json"}},
        {"text": "%rew", "matches": {"%rewind"}},
    ]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n", "%fork"]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('no')"
    code_execute_result = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
        {"code": "class T:\n    def __repr__(self): return 'plain'\n    def _repr_html_(self): return '<b>rich</b>'\nT()",
         "mime": "text/html", "result": "<b>rich</b>"},
    ]
    code_display_data = [
        {"code": "from cloister import display\nclass P:\n    def _repr_png_(self): return b'png'\ndisplay(P())", "mime": "image/png"},
        {"code": "display('text')", "mime": "text/plain"},
    ]
    supported_history_operations = ("tail", "range", "search")
    code_history_pattern = "1?2*"
    code_inspect_sample = "zip"
    code_clear_output = "from cloister import clear_output; clear_output()"

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.close)
        os.environ["CLOISTER_SERVER"] = cls.server.address
        install_kernelspec(str(cls.server.directory / "prefix"))
        super().setUpClass()


class NothingIsSkipped(unittest.TestCase):
    def test_all_samples_are_given(self):
        for name, value in vars(jupyter_kernel_test.KernelTests).items():
            if name.startswith(("code_", "completion_", "complete_", "incomplete_", "invalid_", "supported_")):
                self.assertNotEqual(getattr(ConformanceTest, name), value, name)


if __name__ == "__main__":
    unittest.main()
