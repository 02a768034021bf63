# expect: EXITED 3
import os
os._exit(3)
