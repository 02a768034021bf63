"""Proposes what could stand at the cursor.

The loader adds to this namespace: `load`.
"""

import keyword
import os
import re
import sys
import types

MAX_COMPLETIONS = 500
MAX_TEXT = 1024
_MAX_LISTED = 10_000  # attributes, keys or files that are looked at

# Completion.Kind
KEYWORD, NAME, FUNCTION, CLASS, MODULE, ATTRIBUTE, PARAMETER, KEY, PATH = range(1, 10)

_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    classmethod,
    staticmethod,
)
_IMPORT = re.compile(r"(?:^|\n|;)\s*(?:import\s+(?:[\w.]+(?:\s+as\s+\w+)?\s*,\s*)*|from\s+)([\w.]*)$")
_FROM = re.compile(r"(?:^|\n|;)\s*from\s+([\w.]+)\s+import\s+\(?(?:\s*\w+(?:\s+as\s+\w+)?\s*,)*\s*(\w*)$")


def _kind_of(obj, otherwise):
    if isinstance(obj, type):
        return CLASS
    if isinstance(obj, types.ModuleType):
        return MODULE
    return FUNCTION if isinstance(obj, _FUNCTIONS) else otherwise


def _rank(completion):
    """Names for everyone before private ones before special ones."""
    text = completion[0]
    return 2 if text.startswith("__") else 1 if text.startswith("_") else 0, text.lower(), text


def _matching(names, prefix):
    count = 0
    for name in names:
        count += 1
        if count > _MAX_LISTED:
            return
        if type(name) is str and name.startswith(prefix):
            yield name


# ---- what there is -------------------------------------------------------------------------------------


def _attributes(owner, prefix):
    lookup = load("lookup")
    found, obj = lookup["look_up"](owner)
    if not found:
        return
    # What dir() gives, before it is sorted, which fails where not all are names.
    for name in _matching(list(type(obj).__dir__(obj)), prefix):
        # Special names only where asked for.
        if not name.startswith("__") or prefix.startswith("__"):
            yield name, _kind_of(lookup["static_attribute"](obj, name), ATTRIBUTE)


def _names(prefix):
    import builtins

    seen = set()
    for place in (load("lookup")["main_names"](), vars(builtins)):
        for name in _matching(list(place), prefix):
            if name not in seen and (prefix or not name.startswith("_")):
                seen.add(name)
                yield name, _kind_of(place.get(name), NAME)
    for name in _matching((*keyword.kwlist, *keyword.softkwlist), prefix):
        if name not in seen and name != "_":
            yield name, KEYWORD


def _parameters(scan, prefix):
    name = scan.called_name()
    found, function = load("lookup")["look_up"](name) if name else (False, None)
    if not found or not callable(function):
        return
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except Exception:
        return
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            if parameter.name.startswith(prefix):
                yield parameter.name + "=", PARAMETER


def _keys(obj, prefix, quote):
    """Of a dict, or of what has a method for it."""
    keys = ()
    if isinstance(obj, dict):
        keys = dict.keys(obj)
    elif getattr(type(obj), "_ipython_key_completions_", None) is not None:
        keys = obj._ipython_key_completions_()
    for key in _matching(list(keys), prefix):
        if quote not in key and "\\" not in key and key.isprintable():
            yield key


def _module_names(prefix):
    package, _, prefix = prefix.rpartition(".")
    path = None
    if package:
        module = sys.modules.get(package)
        path = getattr(module, "__path__", None)
        if path is None:
            return
    else:
        yield from ((name, MODULE) for name in _matching(sys.stdlib_module_names, prefix))
    import pkgutil

    for info in pkgutil.iter_modules(path):
        if info.name.startswith(prefix):
            yield f"{package}.{info.name}" if package else info.name, MODULE


def _paths(text):
    """Files where relative paths lead, and absolute ones."""
    directory, name = os.path.split(text)
    with os.scandir(os.path.expanduser(directory) or ".") as entries:
        for count, entry in enumerate(entries):
            if count > _MAX_LISTED:
                return
            if entry.name.startswith(name) and (name or not entry.name.startswith(".")):
                yield os.path.join(directory, entry.name) + ("/" if entry.is_dir() else ""), PATH


# ---- what is meant -------------------------------------------------------------------------------------


def _in_string(scan):
    """(start, completions) inside a string: a key after `name[`, else a file."""
    text = scan.code[scan.string :]
    before = scan.code[: scan.string_start].rstrip()
    if before.endswith("[") and "f" not in scan.prefix.lower():
        name = scan.name_before(len(before) - 1)
        found, obj = load("lookup")["look_up"](name) if name else (False, None)
        if found:
            end = scan.quote + "]"
            return scan.string, [(key + end, KEY) for key in _keys(obj, text, scan.quote)]
    try:
        return scan.string, list(_paths(text))
    except (OSError, ValueError):
        return scan.string, []


def _after_bracket(scan):
    """Keys with their quotes after `name[`; None elsewhere."""
    if not scan.code.endswith("["):
        return None
    name = scan.name_before(len(scan.code) - 1)
    found, obj = load("lookup")["look_up"](name) if name else (False, None)
    keys = list(_keys(obj, "", '"')) if found else []
    return [(f'"{key}"]', KEY) for key in keys] or None


def _in_code(scan):
    code = scan.code
    if match := _FROM.search(code, max(0, len(code) - 4096)):
        module = sys.modules.get(match[1])
        names = _matching(dir(module), match[2]) if module is not None else ()
        found = [(name, _kind_of(vars(module).get(name), NAME)) for name in names]
        found += [(name.rpartition(".")[2], MODULE) for name, _ in _module_names(f"{match[1]}.{match[2]}")]
        return len(code) - len(match[2]), found
    if match := _IMPORT.search(code, max(0, len(code) - 4096)):
        return len(code) - len(match[1]), list(_module_names(match[1]))
    if keys := _after_bracket(scan):
        return len(code), keys
    owner, prefix = scan.split_name()
    start = len(code) - len(prefix)
    if owner:
        return start, list(_attributes(owner[:-1], prefix))
    if code[:start].endswith("."):
        return start, []  # of something that has no name
    return start, [*_parameters(scan, prefix), *_names(prefix)]


def complete(code, cursor):
    """Returns ([(text, kind)], start, is_truncated)."""
    scan = load("source_scan")["Scan"](code[:cursor])
    if scan.is_comment:
        return [], cursor, False
    start, found = _in_string(scan) if scan.string is not None else _in_code(scan)
    unique = dict(reversed([entry for entry in found if len(entry[0]) <= MAX_TEXT]))
    parameters = sorted((entry for entry in unique.items() if entry[1] == PARAMETER), key=_rank)
    others = sorted((entry for entry in unique.items() if entry[1] != PARAMETER), key=_rank)
    completions = parameters + others
    return completions[:MAX_COMPLETIONS], start, len(completions) > MAX_COMPLETIONS
