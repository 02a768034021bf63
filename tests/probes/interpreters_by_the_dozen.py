# expect: RAISED PermissionError
import multiprocessing
multiprocessing.get_context("fork").Process(target=print, args=("ESCAPED",)).start()
