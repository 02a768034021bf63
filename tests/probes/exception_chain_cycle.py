# expect: RAISED ValueError
a, b = ValueError("a"), KeyError("b")
a.__context__, b.__context__ = b, a
raise a
