"""Write which bugs make the report say what, as a table with links to each name."""

from __future__ import annotations

from generated import patterns
from generated.bugs import anchor, by_name, text


def main() -> None:
    """Print the table."""
    print("| The report says | These bugs do that |\n|---|---|")
    for bug, faults in by_name().items():
        links = ", ".join(f"[{text(fault.name)}](#{anchor(fault.name)})" for fault in faults)
        print(f"| [{bug}](#says-{anchor(bug)}) | {links} |")
    for bug, pattern in patterns.by_name().items():
        print(f"| [{bug}](#says-{anchor(bug)}) | {pattern.about} |")


if __name__ == "__main__":
    main()
