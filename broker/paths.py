"""Where the shipped data lies: beside the package in a wheel, at the top of a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "_data"
_ROOT = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent

TEMPLATES = _ROOT / "templates"
FIXTURES = _ROOT / "fixtures"
STATIC = _PACKAGE / "static"
TRANSLATIONS = _PACKAGE / "translations"
