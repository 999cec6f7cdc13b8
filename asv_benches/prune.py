# SPDX-License-Identifier: BSD-3-Clause
"""Take results out of `results/` that nothing shows any more: ``python prune.py``.

They are those of benchmarks that do not exist any more, or have another version. asv writes which
exist to `results/benchmarks.json` when it runs; ``asv run --bench just-discover`` does that alone.
"""

import json
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


def prune(results: Path) -> dict[str, int]:
    """Take them out, and files that have no others; return the names and how often each was."""
    known = json.loads((results / "benchmarks.json").read_bytes())
    gone: dict[str, int] = {}
    for file in sorted(results.glob("*/*-*.json")):
        record = json.loads(file.read_bytes())
        version = record["result_columns"].index("version")
        kept = {}
        for name, columns in record["results"].items():
            if name in known and columns[version] == known[name]["version"]:
                kept[name] = columns
            else:
                gone[name] = gone.get(name, 0) + 1
        if not kept:
            file.unlink()
        elif len(kept) < len(record["results"]):
            record["results"] = kept
            file.write_text(json.dumps(record), encoding="utf-8")
    return gone


if __name__ == "__main__":
    for name, count in sorted(prune(RESULTS).items()):
        print(f"{name}: {count}")
