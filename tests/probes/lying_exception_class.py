# expect: RAISED Liar
class Liar(Exception):
    @property
    def __class__(self):
        raise RuntimeError("no class")
    @property
    def __traceback__(self):
        return 42
    @property
    def __notes__(self):
        raise SystemExit(99)
raise Liar("x")
