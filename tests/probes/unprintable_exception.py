# expect: RAISED Unprintable
class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__
raise Unprintable()
