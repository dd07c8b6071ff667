"""What is written in one language and carries its title and a summary in others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Labels


class Translated:
    """A text with its language, and titles and summaries in others: posts, and directory entries.

    ``translations`` are ``{language: {"title": …, "summary": …}}``; either may be missing.
    """

    language: Mapped[str] = mapped_column(String(2))
    title: Mapped[str] = mapped_column(String(200), default="")
    description: Mapped[str] = mapped_column(Text, default="")
    translations: Mapped[dict[str, Any]] = mapped_column(default=dict)

    def title_in(self, language: str) -> str:
        """The title for a reader of ``language``: its translation, or as it was written."""
        return self._said_in(language, "title") or self.title

    def summary_in(self, language: str) -> str:
        """The summary for a reader of ``language``, or the description as it was written."""
        return self._said_in(language, "summary") or self.description

    def titles(self) -> Labels:
        """The title in every language in which it has one."""
        said = {code: self._said_in(code, "title") for code in self.translations}
        return {**{code: title for code, title in said.items() if title}, self.language: self.title}

    def _said_in(self, language: str, field: str) -> str:
        if language == self.language:
            return ""
        said: dict[str, str] = self.translations.get(language) or {}
        return said.get(field) or ""
