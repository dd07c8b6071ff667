"""Organisations: who posts, provides, asks and signs; and what makes one a task force."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, ForeignKey, Select, String, event, func, select
from sqlalchemy.orm import Mapped, Mapper, mapped_column, relationship

from models.base import Base, localised, utc_now
from models.reference import Country


class Organisation(Base):
    """A ministry, agency, task force, UN body, bank, firm or association.

    Posts of a ``trusted`` organisation go on the exchange at once and are reviewed afterwards;
    the secretariat says which organisations are trusted.

    One that was found to be another under a second name is kept, with ``merged_into`` the one
    that it is, so that old links lead there.
    """

    __tablename__ = "organisation"

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(32), index=True)
    country_code: Mapped[str | None] = mapped_column(ForeignKey("country.code"), index=True)
    names: Mapped[dict[str, str]]
    acronym: Mapped[str | None] = mapped_column(String(32))
    aliases: Mapped[list[str]] = mapped_column(default=list)
    source: Mapped[dict[str, Any]] = mapped_column(default=dict)
    trusted: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)

    merged_into: Mapped[Organisation | None] = relationship(remote_side="Organisation.id")
    country: Mapped[Country | None] = relationship(lazy="joined")
    task_force: Mapped[TaskForce | None] = relationship(
        back_populates="organisation", uselist=False, cascade="all, delete-orphan"
    )

    def name(self, language: str) -> str:
        """The organisation's name for a reader of ``language``."""
        return localised(self.names, language)

    @classmethod
    def ids_behind(cls, codes: Iterable[str]) -> Select[int]:
        """A query for the numbers of the organisations to which codes lead, those of merged too."""
        return select(func.coalesce(cls.merged_into_id, cls.id)).where(cls.code.in_(list(codes)))


@event.listens_for(Base, "before_insert", propagate=True)
def _follow_merges(mapper: Mapper[Any], connection: Connection, target: Any) -> None:
    """What is added to an organisation while it is merged into another one goes to that one.

    Whoever adds it has read the organisation before; on PostgreSQL this waits for the merge.
    """
    if mapper.class_ in (Organisation, TaskForce):
        return
    for name in _names_of_organisations(mapper):
        number = getattr(target, name)
        if number is None:
            continue
        merged = connection.scalar(
            select(Organisation.merged_into_id)
            .where(Organisation.id == number)
            .with_for_update(read=True, key_share=True)
        )
        if merged is not None:
            setattr(target, name, merged)


@cache
def _names_of_organisations(mapper: Mapper[Any]) -> tuple[str, ...]:
    """The attributes of a noun that hold the number of an organisation."""
    return tuple(
        mapper.get_property_by_column(column).key
        for column in mapper.columns
        if any(key.column is Organisation.__table__.c.id for key in column.foreign_keys)
    )


class TaskForce(Base):
    """What a Marrakech task force says of itself: annex I of the 2007 document, and since.

    Once its officers have changed ``activities`` or ``meetings`` (``edited_at``), these are theirs:
    loading the reference data again leaves them alone.
    """

    __tablename__ = "task_force"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    lead: Mapped[str] = mapped_column(String(2))
    themes: Mapped[list[str]] = mapped_column(default=list)
    objectives: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    activities: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    members: Mapped[dict[str, Any]] = mapped_column(default=dict)
    region_members: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    meetings: Mapped[list[dict[str, Any]]] = mapped_column(default=list)
    edited_at: Mapped[datetime | None]

    organisation: Mapped[Organisation] = relationship(back_populates="task_force")

    def member_codes(self) -> set[str]:
        """Codes of the countries and organisations that it names as members."""
        named = {code for group in self.members.values() for code in group}
        for member in self.region_members:
            named |= {code for key in ("country", "organisation") if (code := member.get(key))}
        return named
