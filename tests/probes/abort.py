# expect: SIGNALED 6
import os
os.abort()
