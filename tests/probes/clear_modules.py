# expect: SUCCEEDED
import sys
sys.modules.clear()
