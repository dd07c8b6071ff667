"""What is told to whom: one function for each event that people wait for.

Use cases call these in their own transaction, once the change is made.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.notices import News, moderators, notify, tell, writers_of
from models import (
    Agreement,
    AgreementStatus,
    Entry,
    Interest,
    InvitationStatus,
    Match,
    Need,
    NeedPool,
    Offer,
    Organisation,
    Pairing,
    PilotInvitation,
    PoolStatus,
    Post,
    ProposalStatus,
    RoundProposal,
    User,
)
from models.base import Labels


def _sides(match: Match | RoundProposal, side: str) -> tuple[Need | Offer, Need | Offer]:
    """The post of that side, and the other side's."""
    pair = (match.need, match.offer)
    return pair if side == "need" else (match.offer, match.need)


def tell_of_interest(session: Session, by: User, match: Match, interest: Interest) -> None:
    """The other side is asked."""
    own, other = _sides(match, interest.side)
    notify(
        session,
        writers_of(session, [other])[other.id],
        "interest.received",
        match,
        by=by,
        title=other.titles(),
        organisation=own.organisation.names,
        comment=interest.message,
    )


def tell_of_answer(session: Session, by: User, match: Match, interest: Interest) -> None:
    """The side that was interested hears the answer, with its reason."""
    own, other = _sides(match, interest.side)
    accepted = interest.answer == "accepted"
    notify(
        session,
        writers_of(session, [own])[own.id],
        "interest.accepted" if accepted else "interest.declined",
        match,
        by=by,
        title=other.titles(),
        organisation=other.organisation.names,
        reason=None if accepted else interest.answer_reason or "other",
        comment=interest.answer_message,
    )


def tell_of_proposals(session: Session, by: User, made: Iterable[RoundProposal]) -> None:
    """Both sides of every proposal are asked."""
    made = list(made)
    posts = [post for proposal in made for post in (proposal.need, proposal.offer)]
    writers = writers_of(session, posts)
    tell(
        session,
        "proposal.received",
        [
            News(
                writers[own.id],
                proposal,
                {
                    "title": other.titles(),
                    "organisation": other.organisation.names,
                    "round": proposal.round.name,
                },
                by,
            )
            for proposal in made
            for own, other in (_sides(proposal, "need"), _sides(proposal, "offer"))
        ],
    )


def tell_of_proposal_answer(session: Session, by: User, proposal: RoundProposal) -> None:
    """Both sides hear what a proposal has come to, once it is accepted or declined."""
    if proposal.status not in (ProposalStatus.ACCEPTED, ProposalStatus.DECLINED):
        return
    writers = writers_of(session, [proposal.need, proposal.offer])
    accepted = proposal.status == ProposalStatus.ACCEPTED
    path = f"/matches/{proposal.need_id}/{proposal.offer_id}" if accepted else ""
    tell(
        session,
        "proposal.accepted" if accepted else "proposal.declined",
        [
            News(
                writers[own.id],
                proposal,
                {
                    "title": other.titles(),
                    "organisation": by.organisation.names,
                    "round": proposal.round.name,
                },
                by,
                path=path,
            )
            for own, other in (_sides(proposal, "need"), _sides(proposal, "offer"))
            if accepted or own.organisation_id != by.organisation_id
        ],
    )


def tell_of_pool(session: Session, by: User, pool: NeedPool) -> None:
    """The countries are asked."""
    needs = [member.need for member in pool.members]
    writers = writers_of(session, needs)
    tell(
        session,
        "pool.asked",
        [
            News(
                writers[need.id],
                pool,
                {"title": need.titles(), "subregion": pool.subregion},
                by,
            )
            for need in needs
        ],
    )


def tell_of_pool_answer(session: Session, by: User, pool: NeedPool) -> None:
    """Who asked, the coordinator and the countries hear once a pool is agreed or refused."""
    if pool.status == PoolStatus.ASKED:
        return
    kind = "pool.agreed" if pool.status == PoolStatus.AGREED else "pool.refused"
    writers = writers_of(session, [member.need for member in pool.members])
    people = [user for users in writers.values() for user in users]
    people += [u for u in moderators(session) if u.moderates(frozenset({pool.subregion}))]
    notify(
        session,
        people,
        kind,
        pool,
        by=by,
        subregion=pool.subregion,
        organisation=by.organisation.names,
    )


def _parties(session: Session, agreement: Agreement) -> list[User]:
    """The people who act for the parties of an agreement."""
    homes = [party.organisation_id for party in agreement.parties]
    found = session.scalars(
        select(User).where(User.active, User.organisation_id.in_(homes)).order_by(User.id)
    )
    return [user for user in found if agreement.party_of(user) is not None]


def _tell_parties(
    session: Session,
    by: User,
    kind: str,
    agreement: Agreement,
    people: Iterable[User] | None = None,
    comment: str = "",
) -> None:
    others = _parties(session, agreement) if people is None else people
    notify(
        session,
        [user for user in others if user.organisation_id != by.organisation_id],
        kind,
        agreement,
        by=by,
        title=agreement.current_terms.title,
        reference=agreement.reference,
        organisation=by.organisation.names,
        comment=comment,
    )


def tell_of_terms(session: Session, by: User, agreement: Agreement) -> None:
    """The other parties are asked to answer the terms on the table."""
    note = agreement.current_terms.note
    _tell_parties(session, by, "terms.to_answer", agreement, comment=note)


def tell_of_new_party(
    session: Session, by: User, agreement: Agreement, joining: Organisation
) -> None:
    """Who is brought into an agreement is asked to answer its terms."""
    asked = [u for u in _parties(session, agreement) if u.organisation_id == joining.id]
    _tell_parties(session, by, "terms.to_answer", agreement, asked)


def tell_of_acceptance(session: Session, by: User, agreement: Agreement) -> None:
    """The other parties hear that terms were accepted, and whether they can sign."""
    to_sign = agreement.status == AgreementStatus.NEGOTIATED
    _tell_parties(session, by, "terms.to_sign" if to_sign else "terms.accepted", agreement)


def tell_of_signature(session: Session, by: User, agreement: Agreement, *, binding: bool) -> None:
    """The other parties hear of a signature; of the last one, that the agreement is in force."""
    _tell_parties(session, by, "agreement.binding" if binding else "agreement.signed", agreement)


def tell_of_agreement(session: Session, by: User, agreement: Agreement, kind: str) -> None:
    """The other parties hear that the work has begun or ended, with the words that were given."""
    _tell_parties(session, by, kind, agreement, comment=agreement.closing_report)


def tell_of_submission(session: Session, by: User, post: Post) -> None:
    """Those who may review the post are told that it waits."""
    notify(
        session,
        [user for user in moderators(session) if post.can_be_moderated_by(user)],
        "post.submitted",
        post,
        by=by,
        path=f"/secretariat/queue#post-{post.id}",
        title=post.titles(),
        organisation=post.organisation.names,
    )


def tell_of_publication(session: Session, by: User, post: Need | Offer) -> None:
    """The post's own people hear of it, and everybody whose saved search it meets."""
    from broker.searches import alert_of  # it reads posts, which tell through here

    _tell_writers(session, by, "post.published", post)
    alert_of(session, post)


def tell_of_review(session: Session, by: User, post: Post) -> None:
    """The post's own people hear that it was returned, with the comment."""
    path = f"/{post.kind}s/{post.id}/edit"
    _tell_writers(session, by, "post.returned", post, path=path, comment=post.comment)


def tell_of_withdrawal(session: Session, by: User, post: Post) -> None:
    """The post's own people hear that a moderator took it off the exchange."""
    if by.organisation_id != post.organisation_id:
        _tell_writers(session, by, "post.withdrawn", post)


def _tell_writers(
    session: Session, by: User, kind: str, post: Post, *, path: str = "", comment: str = ""
) -> None:
    notify(
        session,
        writers_of(session, [post], own=True)[post.id],
        kind,
        post,
        by=by,
        path=path,
        title=post.titles(),
        organisation=by.organisation.names,
        comment=comment,
    )


def tell_of_expiry(session: Session, posts: Iterable[Post], kind: str = "post.expired") -> None:
    """The people of posts that have expired, or are about to, hear of it once for each date."""
    posts = list(posts)
    if not posts:
        return
    writers = writers_of(session, posts, own=True)
    tell(
        session,
        kind,
        [
            News(
                writers[post.id],
                post,
                {"title": post.titles(), "due": post.expires_on},
                once=f"{kind}:{post.id}:{post.expires_on}",
            )
            for post in posts
        ],
    )


def tell_of_merging(session: Session, by: User, kept: Organisation, former: Labels) -> None:
    """The people of an organisation hear that another entry was joined with it.

    Parameters
    ----------
    former : dict
        The names of the entry that is gone.
    """
    people = session.scalars(select(User).where(User.active, User.organisation_id == kept.id))
    notify(
        session,
        people,
        "organisation.merged",
        kept,
        by=by,
        former=former,
        organisation=kept.names,
    )


def tell_of_endorsement_asked(session: Session, by: User, need: Need) -> None:
    """The focal point is asked to endorse what her colleague wrote."""
    people = session.scalars(
        select(User).where(User.active, User.organisation_id == need.organisation_id)
    )
    notify(
        session,
        [user for user in people if user.may_endorse_for(need.organisation_id)],
        "post.to_endorse",
        need,
        by=by,
        person=by.name,
        title=need.titles(),
    )


def tell_of_endorsement(session: Session, by: User, need: Need, *, endorsed: bool) -> None:
    """The colleague who wrote a need hears whether it was endorsed, with the comment if not."""
    path = "" if endorsed else f"/needs/{need.id}/edit"
    notify(
        session,
        [need.author] if need.author else [],
        "post.endorsed" if endorsed else "post.returned",
        need,
        by=by,
        path=path,
        person=by.name,
        title=need.titles(),
        comment="" if endorsed else need.comment,
    )


def tell_of_pairing(session: Session, by: User, pairing: Pairing) -> None:
    """Both sides hear of a match that a person suggests, with the reason."""
    need, offer = pairing.need, pairing.offer
    writers = writers_of(session, [need, offer])
    path = f"/matches/{need.id}/{offer.id}"
    names, reason = by.organisation.names, pairing.reason
    tell(
        session,
        "pairing.suggested",
        [
            News(
                writers[own.id],
                pairing,
                {"organisation": names, "title": other.titles(), "comment": reason},
                by,
                path=path,
            )
            for own, other in ((need, offer), (offer, need))
        ],
    )


def tell_of_invitation(session: Session, by: User, invitation: PilotInvitation) -> None:
    """The invited organisation is asked; once it has answered, the task force hears."""
    asked = invitation.status == InvitationStatus.ASKED
    own, other = invitation.organisation, invitation.task_force
    own, other = (own, other) if asked else (other, own)
    willing = invitation.status == InvitationStatus.WILLING
    people = session.scalars(select(User).where(User.active, User.organisation_id == own.id))
    notify(
        session,
        [user for user in people if user.acts_for(own.id)],
        f"invitation.{'received' if asked else 'accepted' if willing else 'declined'}",
        invitation,
        by=by,
        organisation=other.names,
        comment=invitation.message if asked else invitation.answer,
    )


def tell_of_entry(session: Session, by: User, entry: Entry, kind: str) -> None:
    """Those who review an entry of the directory hear of it, and its people of the answer.

    Of a published one, everybody hears whose saved search it meets.
    """
    from broker.searches import alert_of  # it reads the directory, which tells through here

    if kind == "entry.submitted":
        people = [user for user in moderators(session) if entry.can_be_moderated_by(user)]
    else:
        query = select(User).where(User.active, User.organisation_id == entry.organisation_id)
        people = [user for user in session.scalars(query) if entry.can_be_edited_by(user)]
        if entry.author is not None:
            people.append(entry.author)
    returned = kind == "entry.returned"
    notify(
        session,
        people,
        kind,
        entry,
        by=by,
        path="/secretariat/directory" if kind == "entry.submitted" else "",
        title=entry.titles(),
        organisation=entry.organisation.names,
        comment=entry.comment if returned else "",
    )
    if kind == "entry.published":
        alert_of(session, entry)


def tell_of_ending(session: Session, entries: Iterable[Entry]) -> None:
    """The people of entries that hold for a few days more, and who certified them, hear of it."""
    entries = list(entries)
    homes = {number for e in entries for number in (e.organisation_id, e.certified_by_id)}
    people: dict[int, list[User]] = {}
    for user in session.scalars(select(User).where(User.active, User.organisation_id.in_(homes))):
        people.setdefault(user.organisation_id, []).append(user)

    def news(kind: str, entry: Entry, home: int) -> News:
        facts = {
            "title": entry.titles(),
            "organisation": entry.organisation.names,
            "due": entry.valid_until,
        }
        once = f"{kind}:{entry.id}:{entry.valid_until}"
        return News(people.get(home, []), entry, facts, once=once)

    own = [news("entry.ending", entry, entry.organisation_id) for entry in entries]
    tell(session, "entry.ending", own)
    certified = [
        news("certificate.ending", entry, entry.certified_by_id)
        for entry in entries
        if entry.certified_by_id and entry.certified_by_id != entry.organisation_id
    ]
    tell(session, "certificate.ending", certified)
