"""An encoder that remembers what it has encoded, in a file: for measurements that are repeated."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from matching.text import Encoder, Role, Vector


class VectorCache:
    """Puts a file between an encoder and those who ask it; itself an encoder.

    Parameters
    ----------
    encoder : who encodes what is not known yet.
    path : an .npz file, read now and written by ``save``; ``None`` to remember nothing.
    """

    def __init__(self, encoder: Encoder, path: Path | None) -> None:
        self.name = encoder.name
        self.version = encoder.version
        self.dimension = encoder.dimension
        self._encoder = encoder
        self._path = path
        self._known: dict[str, Vector] = {}
        if path is not None and path.exists():
            with np.load(path) as stored:
                self._known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    def encode(self, texts: Sequence[str], role: Role) -> Vector:
        """Encode texts; see ``matching.text.Encoder``."""
        keys = [
            hashlib.sha256(f"{self.name}\0{self.version}\0{role}\0{text}".encode()).hexdigest()
            for text in texts
        ]
        missing = {
            key: text for key, text in zip(keys, texts, strict=True) if key not in self._known
        }
        if missing:
            vectors = self._encoder.encode(list(missing.values()), role)
            self._known.update(zip(missing, vectors, strict=True))
            self.save()
        return np.stack([self._known[key] for key in keys])

    def save(self) -> None:
        """Write what is known to the file."""
        if self._path is not None:
            np.savez(
                self._path,
                keys=np.array(list(self._known)),
                vectors=np.stack(list(self._known.values())),
            )
