# expect: EXITED 1
import sys
sys.exit("a reason")
