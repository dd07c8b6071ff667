"""Run the benchmarks: all of them, or those that are named.

    python -m benchmarks [--list] [name …] [arguments of a single one …]

A benchmark is a module of this folder with a ``main``; modules named ``make_…`` make files instead.
Each runs in a process of its own, so that none warms up another and its memory is its own.
"""

import argparse
import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent

USUAL_ARGUMENTS = {"text_quality": ["fixtures/evaluation"]}
"""What a benchmark is asked when nothing is said; the others need no argument."""


def find_benchmarks() -> dict[str, str]:
    """Name of each benchmark, with the first line that it says of itself."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem.startswith(("make_", "_")):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def run(name: str, arguments: Sequence[str]) -> bool:
    """Run one benchmark; tell whether it came to its end."""
    print(f"## {name}\n", flush=True)
    words = list(arguments) or USUAL_ARGUMENTS.get(name, [])
    finished = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *words], cwd=FOLDER.parent, check=False
    )
    print(flush=True)
    return finished.returncode == 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for; exit code 1 if one of them failed, 2 if there is no such one."""
    found = find_benchmarks()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Run the benchmarks: all of them, or those that are named.",
        epilog="What follows a single name is passed on to it.",
    )
    parser.add_argument("--list", action="store_true", help="tell what there is")
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(found))
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Options after a name are the benchmark's own.
    own = next((n for n, word in enumerate(words) if n and word.startswith("-")), len(words))
    chosen = parser.parse_args(words[:own])
    unknown = [name for name in chosen.names if name not in found]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(found)}")
    if words[own:] and len(chosen.names) != 1:
        parser.error("arguments can be passed on to a single benchmark only")
    if chosen.list:
        for name, line in found.items():
            print(f"{name:<18} {line}")
        return
    failed = [name for name in chosen.names or found if not run(name, words[own:])]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
