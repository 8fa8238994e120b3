"""Write which bugs of the catalogue make the report say what, as a table with links."""

from __future__ import annotations

from generated.bugs import anchor, by_name, text


def main() -> None:
    """Print the table."""
    print("| The report says | These bugs do that |\n|---|---|")
    for bug, faults in by_name().items():
        links = ", ".join(f"[{text(fault.name)}](#{anchor(fault.name)})" for fault in faults)
        print(f"| [{bug}](#says-{anchor(bug)}) | {links} |")


if __name__ == "__main__":
    main()
