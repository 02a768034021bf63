# expect: SUCCEEDED
import sys
class Trap:
    def __getattr__(self, name):
        raise SystemError("trap")
sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Trap()
