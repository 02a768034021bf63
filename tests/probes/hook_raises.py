# expect: RAISED ValueError
import sys
def hook(*args):
    raise RuntimeError("hook")
sys.excepthook = hook
raise ValueError("x")
