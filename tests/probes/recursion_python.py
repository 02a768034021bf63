# expect: RAISED RecursionError
def deeper():
    deeper()
deeper()
