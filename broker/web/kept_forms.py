"""Forms that came too late: carried through the sign-in page, and sent again by who wrote them.

Whoever was signed out in the middle of a form loses nothing. The server keeps none of it: what was
typed goes along in the sign-in page, signed, and comes back on a page with one button.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import current_app, request, session
from itsdangerous import BadData, URLSafeTimedSerializer

KEPT_FOR = timedelta(days=1)
"""For how long a form can be sent again."""

MARK = "kept_form"
"""Name in the browser's session: a form comes back only to the browser that sent it."""


@dataclass(frozen=True)
class KeptForm:
    """What was typed, and the address that it was sent to.

    Attributes
    ----------
    fields : list
        (name, value), in their order; passwords and tokens are not among them.
    files : list
        Names of the files that were chosen: a browser sends them only when they are chosen anew.
    """

    address: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def texts(self) -> list[str]:
        """What the person can recognise her form by: the lines that she wrote herself."""
        return [value for _name, value in self.fields if len(value.split()) > 1]


def typed() -> KeptForm:
    """The form of the present request."""
    return KeptForm(
        request.full_path.rstrip("?"),
        [
            (name, value)
            for name, values in request.form.lists()
            for value in values
            if name != "csrf_token" and "password" not in name
        ],
        [upload.filename for upload in request.files.values() if upload.filename],
    )


def seal(form: KeptForm) -> str:
    """The form as one signed text, for a hidden field of the sign-in page."""
    mark = session.setdefault(MARK, secrets.token_urlsafe(16))
    return _signer().dumps([mark, form.address, form.fields, form.files])


def unseal(sealed: str) -> KeptForm | None:
    """The form again; None if it is too old, was changed, or is another browser's."""
    try:
        mark, address, fields, files = _signer().loads(
            sealed, max_age=int(KEPT_FOR.total_seconds())
        )
    except (BadData, ValueError):
        return None
    if not mark or mark != session.get(MARK):
        return None
    return KeptForm(address, [(name, value) for name, value in fields], files)


def _signer() -> URLSafeTimedSerializer:
    key: Any = current_app.secret_key
    return URLSafeTimedSerializer(key, salt="kept form")
