"""Build hook: compiles the translations, and puts the data of the product into its wheel.

``python hatch_build.py`` compiles the translations alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TRANSLATIONS = Path("broker", "translations")
# Where broker/paths.py looks for them once the product is installed.
DATA = {"templates": "broker/_data/templates", "fixtures": "broker/_data/fixtures"}


def compile_translations(root: Path) -> list[Path]:
    """Write a ``.mo`` beside every ``.po`` of `root` that is newer; return the files written.

    Fuzzy entries are left out: a reader gets the source text rather than a guess.
    """
    written = []
    for source in sorted(root.glob(f"{TRANSLATIONS}/*/LC_MESSAGES/*.po")):
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        locale = source.relative_to(root / TRANSLATIONS).parts[0]
        with source.open("rb") as lines:
            catalogue = read_po(lines, locale=locale, abort_invalid=True)
        with target.open("wb") as compiled:
            write_mo(compiled, catalogue, use_fuzzy=False)
        written.append(target)
    return written


class ProductBuildHook(BuildHookInterface[Any]):
    """Makes wheels and editable installs alike ready to run in all four languages."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the translations; add templates and fixtures unless `version` is editable.

        An editable install reads them from the checkout, so that an edit shows at once.
        """
        root = Path(self.root)
        compile_translations(root)
        if self.target_name == "wheel" and version != "editable":
            for folder, inside in DATA.items():
                build_data["force_include"][str(root / folder)] = inside


if __name__ == "__main__":
    for path in compile_translations(Path(__file__).parent):
        sys.stdout.write(f"{path.relative_to(Path(__file__).parent)}\n")
