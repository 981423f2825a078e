"""What a monitor has looked at and found, as a table."""

from .rules import RULES, Findings

__all__ = ["report_of", "rules_table"]


def report_of(findings: Findings) -> str:
    """A line for each rule that was looked at: how often, and what was found."""
    lines = [f"{'rule':24}{'looked at':>10}  clauses"]
    for rule in RULES.values():
        found = [finding for finding in findings.found if finding.rule == rule.name]
        if findings.looked[rule.name] or found:
            lines.append(f"{rule.name:24}{findings.looked[rule.name]:>10}  {', '.join(rule.clauses)}")
            lines += [f"    {finding}" for finding in found]
    return "\n".join(lines)


def rules_table() -> str:
    """All rules as a table in Markdown, for docs/vip.md."""
    lines = ["| rule | what is checked | when | clauses |", "|---|---|---|---|"]
    for rule in RULES.values():
        clauses = ", ".join(f"`{clause}`" for clause in rule.clauses)
        lines.append(f"| `{rule.name}` | {rule.checks} | {rule.when} | {clauses} |")
    return "\n".join(lines) + "\n"
