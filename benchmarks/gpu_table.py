"""Results of `gpu.sh` as files and as one Markdown table; needs the standard library alone.

    python benchmarks/gpu_table.py FOLDER SECTION STATUS

notes how a section ended and writes FOLDER/gpu.md from all sections.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SECTIONS = ("machine", "parity", "streaming", "steps", "tests", "training")
ENDED_WELL = "0"


@dataclass
class Results:
    """Rows of one section. Each is on the disk as soon as it is known, so that a section that is
    stopped keeps what it has measured."""

    folder: Path
    section: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    status: str = "did not end"

    def add(self, name: str, value: object, unit: str = "") -> None:
        """Adds a row, prints it and writes the file."""
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        print(f"{name}: {shown} {unit}".rstrip(), flush=True)
        self.rows.append({"name": name, "value": value, "unit": unit})
        self.write()

    def write(self) -> None:
        """Writes FOLDER/SECTION.json."""
        content = {name: value for name, value in asdict(self).items() if name != "folder"}
        (self.folder / f"{self.section}.json").write_text(json.dumps(content, indent=1))


def read(folder: Path, section: str) -> Results:
    """Returns the results of a section, as far as there are any."""
    try:
        content = json.loads((folder / f"{section}.json").read_text())
    except (OSError, ValueError):
        return Results(folder, section, status="nothing was written")
    return Results(folder, section, content["rows"], content["status"])


def markdown(folder: Path) -> str:
    """Returns the table of all sections that have a file, in order."""
    lines = ["| section | measured | value | unit |", "|---|---|--:|---|"]
    for section in SECTIONS:
        if not (folder / f"{section}.json").is_file():
            continue
        results = read(folder, section)
        for row in results.rows:
            value = row["value"]
            shown = f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")
            lines.append(f"| {section} | {row['name']} | {shown} | {row['unit']} |")
        if results.status != ENDED_WELL:
            lines.append(f"| {section} | **ended early** | {results.status} | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Notes the end of a section and writes the table."""
    folder, section, status = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    results = read(folder, section)
    results.status = status if not status.isdecimal() or status == "0" else f"exit status {status}"
    results.write()
    (folder / "gpu.md").write_text(markdown(folder))


if __name__ == "__main__":
    main()
