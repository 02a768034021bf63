# expect: SUCCEEDED
# alone: namespaces
import ctypes
if ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 1:
    print("ESCAPED: dumpable")
