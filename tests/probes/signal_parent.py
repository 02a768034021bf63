# expect: SUCCEEDED
import os
if os.getppid() != 0:
    print("ESCAPED: sees a parent outside its namespace:", os.getppid())
