"""A model that computes only what can have changed, made of the C++ that Verilator writes.

Verilator computes all of the device in every cycle, although only some 3 % of its signals change in one. Its
code streams through the processor once a cycle and is larger than the caches. Here the same statements are
grouped into *chunks*. A chunk is a function that is called when something that it reads has changed: it
clears its flag, keeps what its variables were, runs its statements, compares, and raises the flags of the
chunks that read what is different. Everything else keeps the value that it has, which is the value that it
would be given.

How it is made:

- :mod:`.source` takes the statements of the clocked code out of Verilator's files, in their order, and
  :mod:`.statements` says what each reads and writes. What they do not know is :class:`NotUnderstood`, and
  then the plain model is used.
- :mod:`.registers` finds the registers that only get what was computed for them, and lays both out alike, so
  that at the edge they are compared and loaded many at a time. They are in no chunk.
- :mod:`.graph` joins statements that must stay together (all that write a variable; cycles), and puts the
  rest in an order that respects who reads what before and after it is written, with what is busy in the same
  cycles side by side.
- :mod:`.partition` cuts that order into chunks. Large ones compute too much when little has changed, small
  ones cost more to find than to run. It weighs code against how often the variables change, which is measured
  on the plain model with a short exercise of the device.
- :mod:`.emit` writes the chunks and what calls them.

Why from C++ text: the statements are already what the processor shall do. Widths are resolved, constants
folded, equal logic shared, wide operations cut into words; all that is lost in Verilator's JSON tree, which
shows the design before those steps, and in Amaranth's netlist. From either one would write a compiler, not a
grouping. What the text costs is that it is Verilator's own: so the version is pinned
(:data:`.source.KNOWN`), nothing unknown is passed over, and every build is compared with the plain model,
variable by variable, before it is used.
"""

from .source import NotUnderstood

__all__ = ["NotUnderstood"]
