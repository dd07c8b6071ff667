"""The ledger: an offer's or a need's balance, row by row."""

from __future__ import annotations

from flask import Blueprint, render_template

from broker.balances import read_balance
from broker.posts import get_post, seals_money
from broker.web.access import SIGNED_IN, allow, person
from broker.web.reading import database

pages = Blueprint("ledger", __name__)


@pages.get("/<kind:kind>/<int:post_id>/balance")
@allow(SIGNED_IN)
def balance(kind: str, post_id: int) -> str:
    """What a post began with, every commitment and return, and what remains."""
    post = get_post(database(), kind, post_id, person())
    return render_template(
        "ledger/balance.html",
        post=post,
        balance=read_balance(database(), person(), post),
        sealed=seals_money(post, person()),
    )
