"""Which nets of a device can never change: its own constants, and what follows if others do not change.

A register that begins with 0 is taken to stay so until something that is not known to be 0 reaches it. What
then remains is constant in every state that can be reached, whatever the inputs are.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from .netlist import ANY, FREE, ONE, UNKNOWN, ZERO, Netlist

__all__ = ["Fixed", "canonical"]

_CONSTANTS = (ZERO, ONE)


def _either(one: int, other: int) -> int:
    """The value of what is one of two values."""
    if one == FREE:
        return other
    return one if other in (one, FREE) else UNKNOWN


def _value(op: str, inputs: tuple[int, ...], values: list[int]) -> int:
    """0, 1, or :data:`UNKNOWN`."""
    if op == "mux":
        low, high, select = inputs
        chosen = values[select]
        if chosen == ZERO:
            return values[low]
        return values[high] if chosen == ONE else _either(values[low], values[high])
    if op in ("same", "row"):
        return values[inputs[0]]
    if op == "pmux":
        found = FREE
        certain = False
        for n in range(1, len(inputs), 2):
            select = values[inputs[n + 1]]
            if select != ZERO:
                certain = certain or select == ONE
                found = _either(found, values[inputs[n]])
        return found if certain else _either(found, values[inputs[0]])
    if op in ("and", "or", "nor"):
        ends = ZERO if op == "and" else ONE
        result = 1 - ends
        for net in inputs:
            value = values[net]
            if value == ends:
                result = ends
                break
            if value not in _CONSTANTS:
                result = UNKNOWN
        return 1 - result if op == "nor" and result != UNKNOWN else result
    if op == "not":
        value = values[inputs[0]]
        return 1 - value if value in _CONSTANTS else UNKNOWN
    if op in ("eq", "ne"):
        half = len(inputs) // 2
        result = ONE
        for left, right in zip(inputs[:half], inputs[half:], strict=True):
            a, b = values[left], values[right]
            if a not in _CONSTANTS or b not in _CONSTANTS:
                result = result if left == right else UNKNOWN
            elif a != b:
                result = ZERO
                break
        return 1 - result if op == "ne" and result != UNKNOWN else result
    if op == "xor":
        result = 0
        for net in inputs:
            if values[net] not in _CONSTANTS:
                return UNKNOWN
            result ^= values[net]
        return result
    if op == "most":
        found = [values[net] for net in inputs]
        return next((value for value in _CONSTANTS if found.count(value) > 1), UNKNOWN)
    return UNKNOWN


class Fixed:
    """``values`` has 0 or 1 for each net of ``netlist`` that never changes, once the device has begun.

    ``held`` are nets that are taken not to change, with their values.
    """

    def __init__(self, netlist: Netlist, held: Mapping[int, int] | None = None):
        self._netlist = netlist
        self._held = dict(held or {})
        self.order = _order(netlist)
        self.values = self._found()

    def _found(self) -> list[int]:
        netlist, held = self._netlist, self._held
        values = [UNKNOWN] * netlist.size
        values[ZERO], values[ONE], values[FREE] = ZERO, ONE, FREE
        users: dict[int, list[int]] = {}
        for net, (begin, following) in netlist.states.items():
            values[net] = begin
            users.setdefault(following, []).append(net)
        for net, value in held.items():
            values[net] = value
        for net in self.order:
            op, inputs = netlist.nodes[net]
            for used in inputs:
                users.setdefault(used, []).append(net)
            if net not in held:
                values[net] = _value(op, inputs, values)
        waiting = deque(netlist.states)
        while waiting:
            net = waiting.popleft()
            if values[net] == UNKNOWN or net in held:
                continue
            if net in netlist.states:
                found = values[netlist.states[net][1]]
            else:
                found = _value(*netlist.nodes[net], values)
            found = _either(values[net], found)
            if found != values[net]:
                values[net] = found
                waiting.extend(users.get(net, ()))
        return values

    def constant(self, net: int) -> bool:
        """Whether a net never changes."""
        return self.values[net] in _CONSTANTS

    def reason(self, net: int, without: "Fixed") -> int | None:
        """The net of ``held`` from which it follows that ``net`` does not change; ``without`` holds none."""
        seen = {net}
        waiting = [net]
        while waiting:
            at = waiting.pop()
            if at in self._held:
                return at
            state = self._netlist.states.get(at)
            inputs = (state[1],) if state else self._netlist.nodes.get(at, (ANY, ()))[1]
            for used in inputs:
                if used not in seen and self.constant(used) and not without.constant(used):
                    seen.add(used)
                    waiting.append(used)
        return None


def _order(netlist: Netlist) -> list[int]:
    """Nodes, each behind its inputs. Those of a loop are left out: nothing is known of them."""
    missing = {}
    users: dict[int, list[int]] = {}
    for net, (_op, inputs) in netlist.nodes.items():
        needed = {used for used in inputs if used in netlist.nodes}
        missing[net] = len(needed)
        for used in needed:
            users.setdefault(used, []).append(net)
    ready = deque(net for net, count in missing.items() if not count)
    order = []
    while ready:
        net = ready.popleft()
        order.append(net)
        for user in users.get(net, ()):
            missing[user] -= 1
            if not missing[user]:
                ready.append(user)
    return order


def _simple(op: str, inputs: tuple[int, ...], values: list[int]) -> tuple[str, tuple[int, ...]]:
    """A node without what never matters; of ``same`` only one input is left."""
    if op == "mux":
        low, high, select = inputs
        if values[select] in _CONSTANTS:
            return "same", (high if values[select] else low,)
        if low == high or values[high] == FREE:
            return "same", (low,)
        if values[low] == FREE:
            return "same", (high,)
        if (low, high) == _CONSTANTS:
            return "same", (select,)
    elif op == "pmux":
        rows = [(inputs[n], inputs[n + 1]) for n in range(1, len(inputs), 2) if values[inputs[n + 1]] != ZERO]
        if not rows:
            return "same", inputs[:1]
        if len(rows) == 1:
            return _simple("mux", (inputs[0], *rows[0]), values)
        inputs = (inputs[0], *(net for row in rows for net in row))
    elif op in ("and", "or"):
        neutral = ONE if op == "and" else ZERO
        inputs = tuple(sorted({net for net in inputs if values[net] != neutral}))
    elif op == "xor":
        kept = sorted(net for net in inputs if values[net] != ZERO)
        inputs = tuple(kept)
    elif op == "row" and values[inputs[0]] in _CONSTANTS:
        return "same", inputs[:1]
    if op in ("and", "or", "xor") and len(inputs) == 1:
        return "same", inputs
    return op, inputs


def canonical(netlist: Netlist, fixed: Fixed) -> list[int]:
    """For each net the first one that always has the same value, as far as that shows, or 0 or 1."""
    names = list(range(netlist.size))
    for net, value in enumerate(fixed.values):
        if value in _CONSTANTS:
            names[net] = value
    known: dict[tuple[str, Iterable[int]], int] = {}
    for net in fixed.order:
        if fixed.constant(net):
            continue
        op, inputs = netlist.nodes[net]
        op, inputs = _simple(op, tuple(names[used] for used in inputs), fixed.values)
        if op == "same":
            names[net] = inputs[0]
        elif op != ANY:
            names[net] = known.setdefault((op, inputs), net)
    return names
