"""The five source documents and the sets of mandates that come from them, by name."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

DOCUMENTS = {
    "000": _l("Decision 12 of the Forum of Ministers of the Environment, Panama City, 2003"),
    "001": _l("Preparatory document of the fourth meeting of government experts, São Paulo, 2007"),
    "002": _l("Action plan of Panama’s national policy of cleaner production"),
    "003": _l("Peru’s national strategy for cleaner and efficient production"),
    "004": _l("Action plan of CELAC, Havana, 2014"),
}
"""Number of a source document → its name."""

MANDATE_SETS = {
    "d12_2003": _l("Decision 12 of 2003"),
    "d12_2005": _l("Decision 12 of 2005"),
    "regional_strategy": _l("Regional strategy"),
    "unep": _l("UNEP’s regional programme"),
    "peru": _l("Peru’s strategy"),
    "panama": _l("Panama’s action plan"),
    "celac": _l("CELAC’s action plan"),
}
"""Set of mandates → its name."""
