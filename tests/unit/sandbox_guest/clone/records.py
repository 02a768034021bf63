import collections
import dataclasses
import enum
import sys
import typing


class Color(enum.Enum):
    RED = 1
    GREEN = "g"
    CRIMSON = 1


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Mood(enum.StrEnum):
    GOOD = "good"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Bits(enum.IntFlag):
    A = 1
    B = 4


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: int
    b: object = None


@dataclasses.dataclass(eq=False)
class Node:
    name: str
    next: object = None


class Base:
    __slots__ = ("of_base",)


@dataclasses.dataclass
class Mixed(Base):
    __slots__ = ("own", "__dict__")
    own: int


Pair = collections.namedtuple("Pair", "left right")


class Typed(typing.NamedTuple):
    name: str
    value: object = None


class Outer:
    class Inner(enum.Enum):
        X = 1


def test_globals():
    for value in (int, type, object, Color, Outer.Inner, Outer, collections.OrderedDict, ValueError, len, sys.exit, test_globals, dataclasses.dataclass, Pair):
        assert clone(value) is value, value
    copy = clone([int, int, (int,)])
    assert copy[0] is copy[2][0] is int

    class Local:
        pass

    refused([Local], "$[0]: class __main__.test_globals.<locals>.Local cannot be cloned")
    refused(lambda: 0, "<lambda> cannot be cloned")
    refused([].append, "cannot be cloned")
    refused(Local.__init__, "cannot be cloned")
    global Moved
    Moved = Local
    refused(Local, "cannot be cloned")
    unreadable(encode(Color).replace(b"Color", b"Colos"), "__main__.Colos is not known here")


def test_enums():
    for value in (Color.RED, Color.GREEN, Color.CRIMSON, Level.HIGH, Mood.GOOD, Right.READ, Right.READ | Right.WRITE, Right(0), Bits.A | Bits.B, Bits(64), Outer.Inner.X):
        assert clone(value) is value, value
    copy = same({Color.RED: 1, Level.LOW: 2, Right.READ | Right.WRITE: 3, Mood.GOOD: 4, (Color.GREEN,): 5})
    assert copy[Color.RED] == 1
    same({Color.RED, Right.WRITE})

    class Hash(enum.Enum):
        A = 1

        def __hash__(self):
            raise AssertionError

    global Own
    Hash.__qualname__ = "Own"
    Own = Hash
    assert clone(Hash.A) is Hash.A


def test_dataclasses():
    same(Point(1, [2]))
    same(Slotted(1, "b"))
    value = Point(1)
    value.extra = {"x": 1}
    assert clone(value).extra == {"x": 1}
    value = Slotted(1, [2])
    copy = clone([value, value])
    assert copy[0] is copy[1] and copy[0].b == [2]
    value = Mixed(5)
    value.of_base = [1]
    value.more = 2
    copy = clone(value)
    assert (copy.own, copy.of_base, copy.more) == (5, [1], 2)
    value = Mixed(5)
    assert not hasattr(clone(value), "of_base")
    import socket

    with socket.socket() as s:
        refused([Point(1, [s])], "$[0].y[0]: socket.socket")
        refused([Slotted(1, s)], "$[0].b: socket.socket")

    @dataclasses.dataclass
    class Local:
        pass

    refused(Local(), "class __main__.test_dataclasses.<locals>.Local cannot be cloned")

    @dataclasses.dataclass
    class Listed(list):
        pass

    global Listed_
    Listed.__qualname__ = "Listed_"
    Listed_ = Listed
    refused(Listed(), "cannot be cloned")
    value = Point(1)
    value.__dict__[1] = 2
    refused(value, "no str")


def test_dataclass_cycles_and_keys():
    node = Node("a")
    node.next = Node("b", node)
    copy = clone(node)
    assert copy.next.next is copy and copy.name == "a"
    node = Node("a")
    t = (node, 1)
    node.next = t
    copy = clone(t)
    assert copy[0].next is copy
    node = Node("a")
    f = frozenset([node])
    node.next = [f]
    copy = clone(f)
    (only,) = copy
    assert only.next[0] is copy and type(copy) is frozenset and only in copy
    node = Node("a")
    node.next = {node: 1}
    copy = clone(node)
    assert copy.next[copy] == 1
    node = Node("a")
    node.next = {(1, node): 1}
    copy = clone(node)
    assert copy.next[(1, copy)] == 1
    node = Node("a")
    t = (node,)
    node.next = {t: 1}
    refused(t, "a key that contains its dict")
    assert (c := clone(node)).next[(c,)] == 1
    refused({Slotted(1): 2}, "Slotted cannot be a key")
    refused({Point: Point(1), 2: {(1, Slotted(1))}}, "$[2]{0}: ", "Slotted cannot be a key")


def test_named_tuples():
    for value in (Pair(1, [2]), Typed("x"), Typed("x", Pair(1, 2))):
        same(value)
    same({Pair(1, 2): 3, Typed("a", (1,)): 4})
    one = Pair(1, 2)
    copy = clone([one, one])
    assert copy[0] is copy[1]
    inner = []
    value = Pair(inner, 1)
    inner.append(value)
    refused(value, "Pair that contains itself")
    assert (c := clone(inner))[0].left is c
    refused([Pair(object(), 1)], "$[0][0]: object cannot be cloned")
    refused({Pair(1, Slotted(1)): 2}, "Slotted cannot be a key")
    import os

    refused(os.stat("/"), "os.stat_result cannot be cloned")


class Plain:
    def __init__(self, value):
        self.value = value


class Graph:
    __slots__ = ("peer", "name")

    def __init__(self, name, peer=None):
        self.name = name
        self.peer = peer


def make_graph(state):
    graph = Graph(*state)
    return graph


def test_registered():
    refused(Plain(1), "Plain cannot be cloned")
    data = None
    cloister.register_clone(Plain, lambda plain: plain.value, Plain)
    data = encode(Plain([1]))
    copy = clone([Plain({"a": 1})] * 2)
    assert copy[0] is copy[1] and copy[0].value == {"a": 1} and type(copy[0]) is Plain
    # Through itself.
    plain = Plain(None)
    plain.value = [plain]
    copy = clone(plain)
    assert copy.value[0] is copy
    cloister.register_clone(Graph, lambda graph: (graph.name, graph.peer), make_graph)
    one = Graph("one")
    two = Graph("two", one)
    one.peer = two
    copy = clone(one)
    assert copy.peer.peer is copy and copy.name == "one" and copy.peer.name == "two"
    t = (Plain(None),)
    t[0].value = [t]
    copy = clone(t)
    assert copy[0].value[0] is copy
    f = frozenset([Plain(None)])
    next(iter(f)).value = f
    copy = clone(f)
    assert next(iter(copy)).value is copy
    same_keys = clone({Plain(1): 2})
    assert [k.value for k in same_keys] == [1]

    for bad in (int, list, collections.deque, collections.OrderedDict):
        try:
            cloister.register_clone(bad, repr, repr)
        except TypeError as error:
            assert "in its own way" in str(error)
        else:
            raise AssertionError(bad)

    class Listed(list):
        pass

    global Registered_
    Listed.__qualname__ = "Registered_"
    Registered_ = Listed
    cloister.register_clone(Listed, list, Listed)
    assert type(clone(Listed([1]))) is Listed and clone(Listed([1])) == [1]
    value = Listed()
    value.append(value)
    refused(value, "Registered_ that contains itself")

    class Failing:
        pass

    global Failing_
    Failing.__qualname__ = "Failing_"
    Failing_ = Failing

    def fail(value):
        raise KeyError("by the hook")

    for hooks in ((fail, fail), (lambda v: 1, fail)):
        cloister.register_clone(Failing, *hooks)
        for value in ([Failing()], {1: Failing()}, {"a": Failing()}, {"a b": (Failing(),)}, Point(Failing()), {Failing()}, {Failing(): 1}, Pair(Failing(), 1),
                      ValueError(Failing()), collections.OrderedDict(a=Failing()), collections.deque([Failing()])):  # fmt: skip
            try:
                clone(value)
            except KeyError as error:
                assert error.args == ("by the hook",)
            else:
                raise AssertionError
    cloister.register_clone(Failing, lambda v: 1, lambda v: 5)
    try:
        clone([Failing()])
    except cloister.DataCloneError as error:
        assert "has made int" in str(error), error
    cloister.register_clone(Failing, lambda v: object(), lambda v: 5)
    refused([Failing()], "$[0]: object cannot be cloned")
    assert "is not registered here" in unreadable(encode(Plain(1)).replace(b"Plain", b"Outer"))


def test_mutation_during_the_walk():
    class Changer:
        pass

    global Changer_
    Changer.__qualname__ = "Changer_"
    Changer_ = Changer
    action = []
    cloister.register_clone(Changer, lambda v: action[0](), lambda s: Changer())
    for make, change in (
        (lambda: [Changer(), [1], [2]], lambda v: v.clear()),
        (lambda: [Changer(), [1], [2]], lambda v: v.append(1)),
        (lambda: {1: Changer(), 2: [2]}, lambda v: v.clear()),
        (lambda: {1: Changer(), 2: [2]}, lambda v: v.update({i: i for i in range(100)})),
        (lambda: {Changer(), 1, 2, 3}, lambda v: v.clear()),
        (lambda: {Changer(): 1, 5: 6}, lambda v: v.clear()),
        (lambda: collections.defaultdict(int, {1: Changer()}), lambda v: v.clear()),
        (lambda: collections.Counter({1: Changer()}), lambda v: v.clear()),
    ):
        value = make()
        action[:] = [lambda: change(value)]
        refused(value, "changed while it was cloned")
    # What is not an error gives a whole value.
    for make, change in (
        (lambda: collections.deque([Changer(), [1], [2]]), lambda v: v.clear()),
        (lambda: collections.OrderedDict({1: Changer(), 2: [3]}), lambda v: v.clear()),
        (lambda: Point(Changer(), [2]), lambda v: v.__init__(1, 2)),
    ):
        value = make()
        action[:] = [lambda: change(value)]
        clone(value)
    # Addresses that come to be others' while the walk is on.
    def churn():
        import gc

        value[0] = None
        gc.collect()
        return [[i] for i in range(100)]

    value = [[[1], "text of"], Changer(), [2]]
    keep = value[0]
    value.append(keep)
    action[:] = [churn]
    keep = None
    clone(value)
