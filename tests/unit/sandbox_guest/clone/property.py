# Random graphs of objects, cloned and pickled: both copies have the same shape.

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pickle
import random
import sys
import types
import uuid


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


@dataclasses.dataclass(eq=False)
class Node:
    a: object = None
    b: object = None


@dataclasses.dataclass(eq=False, slots=True)
class Slotted:
    a: object = None


Pair = collections.namedtuple("Pair", "left right")


class Maker:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.made = []

    def atom(self):
        rng = self.rng
        return rng.choice((
            lambda: None, lambda: rng.random(), lambda: rng.randrange(-300, 300), lambda: rng.getrandbits(rng.randrange(1, 200)) - 2**60,
            lambda: "".join(rng.choices("abcé日\ud800😀", k=rng.randrange(6))), lambda: rng.randbytes(rng.randrange(5)), lambda: rng.choice((True, False, ...)),
            lambda: Color.RED, lambda: decimal.Decimal(rng.randrange(99)) / 8, lambda: fractions.Fraction(rng.randrange(9), 7), lambda: complex(rng.random(), 1),
            lambda: datetime.datetime(2000 + rng.randrange(30), 1, 1, tzinfo=rng.choice((None, datetime.timezone.utc))), lambda: uuid.UUID(int=rng.getrandbits(128)),
            lambda: datetime.timedelta(rng.randrange(99)), lambda: range(rng.randrange(9)), lambda: int, lambda: bytearray(b"x"),
        ))()  # fmt: skip

    def key(self, depth=0):
        while True:
            value = self.atom()
            if type(value) is not bytearray and value == value:
                break
        if depth < 2 and self.rng.random() < 0.2:
            return (value, self.key(depth + 1))
        if depth < 2 and self.rng.random() < 0.1:
            return frozenset([value, self.key(depth + 1)])
        return value

    def value(self, depth=0):
        rng = self.rng
        if self.made and rng.random() < 0.15:
            return rng.choice(self.made)
        if depth > 5 or rng.random() < 0.4:
            value = self.atom()
            if rng.random() < 0.3:
                self.made.append(value)
            return value
        kind = rng.randrange(13)
        size = rng.randrange(5)
        if kind < 2:
            value = []
            self.made.append(value)
            value.extend(self.value(depth + 1) for _ in range(size))
        elif kind < 5:
            value = rng.choice((dict, collections.OrderedDict, lambda: collections.defaultdict(list)))()
            self.made.append(value)
            for _ in range(size):
                value[self.key()] = self.value(depth + 1)
        elif kind == 5:
            value = {self.key() for _ in range(size)}
            self.made.append(value)
        elif kind == 6:
            value = collections.deque(maxlen=rng.choice((None, 9)))
            self.made.append(value)
            value.extend(self.value(depth + 1) for _ in range(size))
        elif kind == 7:
            value = types.SimpleNamespace()
            self.made.append(value)
            value.a = self.value(depth + 1)
        elif kind == 8:
            value = Node()
            self.made.append(value)
            value.a, value.b = self.value(depth + 1), self.value(depth + 1)
        elif kind == 9:
            value = Slotted()
            self.made.append(value)
            value.a = self.value(depth + 1)
        elif kind == 10:
            # Without what is open, which could be around it.
            value = Pair(self.atom(), self.key())
            self.made.append(value)
        elif kind == 11:
            value = tuple(self.value(depth + 1) for _ in range(size))
            self.made.append(value)
        else:
            value = frozenset(self.key() for _ in range(size))
            self.made.append(value)
        return value


ATOMS = (int, float, str, bytes, complex, type(None), type(...), bool)


def flat(key):
    if type(key) is frozenset or type(key) is set:
        return f"{type(key)} {sorted(map(flat, key))}"
    return f"({', '.join(map(flat, key))})" if type(key) is tuple else repr(key)


def shape(value):
    """Types, contents and identities as a list, without recursion's depth."""
    seen = {}
    out = []

    def walk(one):
        kind = type(one)
        if kind in ATOMS:
            out.append((kind, repr(one)))
            return
        if id(one) in seen:
            out.append(seen[id(one)])
            return
        seen[id(one)] = len(seen)
        keep.append(one)
        out.append(kind)
        if kind in (list, tuple, collections.deque, Pair):
            out.append(len(one))
            for item in one:
                walk(item)
        elif isinstance(one, dict):
            out.append(len(one))
            for key, item in one.items():
                walk(key)
                walk(item)
        elif kind in (set, frozenset):
            out.append(flat(one))
        elif kind is Slotted:
            walk(one.a)
        elif kind in (Node, types.SimpleNamespace):
            walk(vars(one))
        else:
            out.append(repr(one))

    keep = []
    walk(value)
    return out


def test_like_pickle():
    for seed in range(3000):
        value = Maker(seed).value()
        mine = shape(clone(value))
        assert mine == shape(pickle.loads(pickle.dumps(value, 5))), seed
        assert mine == shape(value), seed
        data = encode(value)
        if seed < 400:  # for the checker
            print(data.hex(), seed)
        assert shape(clone(decode(data))) == mine, seed
