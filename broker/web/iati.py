"""The exchange as IATI activities: one file that everybody may read."""

from __future__ import annotations

import tempfile

from flask import Blueprint, send_file
from werkzeug.wrappers import Response

from broker.iati_export import write_activities
from broker.web.access import EVERYBODY, allow
from broker.web.reading import database, exchange

pages = Blueprint("iati", __name__)

IN_MEMORY = 2 * 1024 * 1024
"""Bytes from which the file is written to disk rather than kept in memory."""


@pages.get("/open-data/iati-activities.xml")
@allow(EVERYBODY)
def activities() -> Response:
    """Offers and registered agreements as IATI 2.03 activities."""
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed when sent
    write_activities(exchange(), database(), file)  # type: ignore[arg-type]
    file.seek(0)
    answer = send_file(
        file,  # type: ignore[arg-type]
        mimetype="application/xml",
        as_attachment=True,
        download_name="iati-activities.xml",
    )
    answer.call_on_close(file.close)
    return answer
