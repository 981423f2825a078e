"""Writes what the host needs to look into a model."""

from .source import Model

__all__ = ["signals_source"]


def signals_source(model: Model, prefix: str) -> str:
    """A table of the variables that the clocked code uses, and what copies inputs from model to model.

    They are what the host's ``model_steps.h`` declares as generated.
    """
    used: set[str] = set()
    for statement in model.statements:
        used |= statement.reads | statement.writes
    names = sorted(used - model.own)
    rows = "".join(f'  {{"{name}", offsetof(Root, {name}), sizeof(Root::{name})}},\n' for name in names)
    copies = "".join(f"  to.{name} = from.{name};\n" for name in model.inputs if name != "clk")
    return (
        f'// Generated; do not edit.\n#include "{prefix}.h"\n#include "{model.root}.h"\n'
        '#include "model_steps.h"\n\n'
        f"namespace rw {{\n\nconst Signal signals[] = {{\n{rows}}};\n"
        f"const std::size_t signal_count = {len(names)};\nconst std::size_t root_bytes = sizeof(Root);\n\n"
        f"void copy_inputs(const Root& from, Root& to) {{\n{copies}}}\n\n}}  // namespace rw\n"
    )
