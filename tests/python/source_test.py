"""Functions as programs: what goes, with what it needs, and what is refused."""

import dataclasses
import functools
import json
import math
import unittest
from collections import OrderedDict
from math import factorial as product

import cloister
from cloister.source import portable

RATE = 3
TABLE = {"a": [1, 2]}
HANDLE = open(__file__)
HANDLE.close()


@dataclasses.dataclass
class Item:
    price: int

    def total(self):
        return self.price * RATE


def helper(n):
    return json.dumps(n)


def plain(n):
    return n + 1


def uses(n):
    item = Item(n)
    return helper([item.total(), product(3), TABLE, OrderedDict(a=1)])


def recursive(n):
    return 1 if n == 0 else n * recursive(n - 1)


def uses_handle():
    return HANDLE.name


def uses_cloister():
    return cloister.Client


def decorated_by(function):
    return function


@decorated_by
def decorated(n):
    return n * 2


@functools.lru_cache
def cached(n):
    return n


def make_closure(k):
    def inner():
        return k

    return inner


def ran(function, *arguments):
    """What the program of a function gives, run here."""
    made = portable(function)
    namespace = {"__name__": "__main__", **made.variables}
    exec(made.code, namespace)
    return namespace[made.function](*arguments)


class PortableTest(unittest.TestCase):
    def test_by_name(self):
        self.assertEqual(portable(math.factorial), ("", {}, "math:factorial"))
        self.assertEqual(portable(json.dumps), ("", {}, "json:dumps"))
        self.assertEqual(portable("numpy:array"), ("", {}, "numpy:array"))
        self.assertEqual(portable(uses_cloister, modules=["cloister"]).code.splitlines()[0], "import cloister")
        self.assertEqual(portable(len), ("", {}, "builtins:len"))

    def test_by_source(self):
        self.assertEqual(ran(plain, 1), 2)
        self.assertEqual(ran(recursive, 5), 120)
        self.assertEqual(ran(decorated, 4), 8)

    def test_with_what_it_uses(self):
        self.assertEqual(json.loads(ran(uses, 5)), [15, 6, {"a": [1, 2]}, {"a": 1}])
        made = portable(uses)
        self.assertEqual(made.variables, {"RATE": 3, "TABLE": TABLE})
        self.assertNotIn("HANDLE", made.code)

    def refused(self, function, problem):
        with self.assertRaisesRegex(cloister.NotPortable, problem):
            portable(function)

    def test_what_cannot_go(self):
        self.refused(lambda: 0, "lambda")
        self.refused(make_closure(1), "uses k of the function round it")
        self.refused(uses_handle, "uses HANDLE, which cannot be sent")
        self.refused(uses_cloister, "the module cloister, which the sandbox may not have")
        self.refused([].append, "bound to an object")
        self.refused(functools.partial(plain, 1), "no function")
        self.refused(cached, "wrapped|no Python source")
        self.refused(3, "no function")
        namespace = {"__name__": "elsewhere"}
        exec("def f(): pass", namespace)
        self.refused(namespace["f"], "source of f cannot be found")


if __name__ == "__main__":
    unittest.main()
