# expect: EXITED 4
import os, threading
threading.Thread(target=lambda: os._exit(4)).start()
threading.Event().wait()
