# expect: EXITED 7
import sys
sys.exit(7)
