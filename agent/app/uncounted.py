"""Objects whose references are not counted, so that a forked child copies no page to count them.

Counting a reference writes to the object, and a write copies the page it shares with the
supervisor: a third of what a camera worker had of its own. Python 3.12 and 3.13 leave objects alone
whose count says that they are immortal (PEP 683, made for servers that fork); they offer it to
nobody outside, so the count is set here. Other layouts of an object are left as they are.
"""

import ctypes
import gc
import types

_IMMORTAL = 0xFFFF_FFFF  # on 64 bits; extensions that count it nevertheless can't bring it to 0
# What modules are made of and never lose: nothing whose end somebody waits for, as a file's.
_PARTS = (
    type,
    str,
    int,
    float,
    bytes,
    tuple,
    frozenset,
    property,
    staticmethod,
    classmethod,
    types.BuiltinFunctionType,
    types.CodeType,
    types.FunctionType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.ModuleType,
    types.WrapperDescriptorType,
)


def leave_uncounted() -> int:
    """Make all that loaded modules consist of immortal; return how many objects that are.

    None where `None` itself is not marked so, as before Python 3.12.
    """
    if _count(None).value != _IMMORTAL:
        return 0
    loaded = gc.get_objects()
    fresh: list[object] = [one for one in loaded if isinstance(one, type | types.FunctionType)]
    for module in (one for one in loaded if isinstance(one, types.ModuleType)):
        fresh += [module, vars(module)]
    seen: dict[int, object] = {}
    while fresh:
        one = fresh.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        names = (*_PARTS, dict) if isinstance(one, type) else _PARTS
        fresh += [other for other in gc.get_referents(one) if isinstance(other, names)]
    for one in seen.values():
        _count(one).value = _IMMORTAL
    return len(seen)


def _count(one: object) -> ctypes.c_uint64:
    return ctypes.c_uint64.from_address(id(one))
