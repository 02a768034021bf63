"""A little of everything that programs do, run once in the zygote, so that clones find done what Python
does on first use: imports inside functions, caches of types, specialised code.

The loader adds to this namespace: compile_program, report.
"""

import linecache

_SOURCE = b"""
import sys
class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y
def total(points):
    return sum(p.x * p.y for p in points)
table = {str(i): [i, float(i), (i, None)] for i in range(100)}
text = f"{total([Point(i, 2) for i in range(50)])} {sorted(table)[:3]!r:>20}"
sys.stdout.write("")
sys.stderr.write("")
raise ValueError(text)
"""
_NAME = "<rehearsal>"


def rehearse():
    """Returns the report on a program that raised."""
    code, _ = compile_program(_SOURCE, _NAME, False)
    try:
        exec(code, {"__name__": _NAME})
    except ValueError as error:
        return report(error, False)
    finally:
        linecache.cache.pop(_NAME, None)
