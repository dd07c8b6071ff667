"""Words of a text: languages, sentences, stems and what two texts share.

Everything here is plain counting with fixed lists: no model, no state, the same
answer on every machine.
"""

import re
import unicodedata
from functools import lru_cache

LANGUAGES = ("en", "es", "fr", "pt")
"""Languages of the exchange, in the order in which a tie between guesses is settled."""


def _listed(text: str) -> tuple[str, ...]:
    """Read a list of words written one after another."""
    return tuple(text.split())


STOP_WORDS: dict[str, tuple[str, ...]] = {
    "es": _listed(
        """a al ante antes aquel aquella aunque bajo cada como con cual cuales cuando cuya cuyo cuyos
        de del desde donde dos durante el ella ellos en entre era es esa esas ese eso esos esta
        estan estas este esto estos fue ha hace hacia han hasta hay la las le les lo los mas me
        mediante mi mientras muy ni no nos nuestra nuestras nuestro nuestros o otra otras otro otros
        para pero poco por porque pues que quien quienes se sea sean segun ser si sido sin sino
        sobre solo son su sus tal tambien tan tanto tiene tienen toda todas todo todos tras u un una
        unas uno unos y ya"""
    ),
    "en": _listed(
        """a about after all also an and any are as at be because been before being between both but
        by can could do does each for from had has have having he her his how i if in into is it its
        may me more most my no nor not of on one only or other our out over own per she should so
        some such than that the their them then there these they this those through to too under
        until up upon us very was we were what when where which while who whom whose why will with
        within without would you your"""
    ),
    "pt": _listed(
        """a ao aos aquela aquele as ate cada com como cuja cujo da das de dela dele depois do dos
        durante e ela eles em entre era essa esse esta estao estas este estes eu foi foram ha isso
        isto ja la lhe mais mas mediante mesmo meu muito na nao nas nem no nos nossa nossas nosso
        nossos num numa o os ou outra outras outro outros para pela pelas pelo pelos pode podem por
        porque qual quais quando que quem sao se sem ser seu seus sido so sob sobre sua suas tal
        tambem tem tendo teu toda todas todo todos um uma umas uns"""
    ),
    "fr": _listed(
        """a afin ainsi apres au aucun aussi autre autres aux avant avec avoir c ce ceci cela celle
        celles celui ces cet cette ceux chaque comme d dans de des dont du elle elles en encore
        entre est et etaient etait etre eux il ils j je l la le les leur leurs lors lui m ma mais
        me meme mes moins n ne ni nos notre nous on ont ou par parmi pas pendant peu plus pour qu
        quand que quel quelle quelles quels qui s sa sans se selon ses si son sont sous sur ta te
        tous tout toute toutes tres un une vers vos votre vous y"""
    ),
}
"""Function words with accents folded, by language."""

ALL_STOP_WORDS = frozenset(word for listed in STOP_WORDS.values() for word in listed)

# Letters and letter groups that one of the four languages writes and the others do not: they
# settle what few function words leave open ("gestão", "señal", "forêt").
_MARKS: dict[str, re.Pattern[str]] = {
    "es": re.compile(r"[ñ¿¡]|ción\b|ciones\b|dad(?:es)?\b|ie|ue[^u]"),
    "pt": re.compile(r"[ãõâêôç]|ss|lh|nh|dades?\b|[aeo]is\b|ei|ou"),
    "fr": re.compile(r"[àèêëîïûùœçâô]|\b[ldnsqc]u?['’]|eau|tés?\b|elle\b|ss|tion|ou"),
    "en": re.compile(r"\bth|ing\b|ght|w|ty\b|ies\b|tion|ou|ss"),
}

# A function word that several languages share says less about each of them: 12 votes are divided.
_VOTES: dict[str, dict[str, int]] = {
    language: {word: 12 // sum(word in others for others in STOP_WORDS.values()) for word in own}
    for language, own in STOP_WORDS.items()
}

_SUFFIXES: dict[str, tuple[str, ...]] = {
    "es": _listed(
        """amientos imientos amiento imiento aciones uciones adoras adores ancias encias idades
        ablemente iblemente amente mente acion ucion adora ador ancia encia idad ables ibles able
        ible istas ista ivas ivos iva ivo osas osos osa oso icas icos ica ico ando iendo adas ados
        idas idos ada ado ida ido ciones cion siones sion arse erse irse aron ieron aran eran iran
        ar er ir an en as os es a o e s"""
    ),
    "pt": _listed(
        """amentos imentos amento imento acoes ucoes adoras adores ancias encias idades avelmente
        ivelmente amente mente acao ucao adora ador ancia encia idade aveis iveis avel ivel istas
        ista ivas ivos iva ivo osas osos osa oso icas icos ica ico ando endo indo adas ados idas
        idos ada ado ida ido coes cao soes sao arem erem irem aram eram iram ar er ir am em as os
        es ais eis ois a o e s"""
    ),
    "fr": _listed(
        """issements issement ements ement ations ation utions ution atrices atrice ateurs ateur
        ances ance ences ence ites ite ablement iblement ables ibles able ible istes iste ives ifs
        ive if euses euse eux iques ique antes ants ante ant ees es ee er ez ir ions ion ent aux al
        s e"""
    ),
    "en": _listed(
        """izations isations ization isation ations ation ements ement ments ment nesses ness ities
        ity ances ance ences ence ables ibles able ible ists ist ively ives ive ously ous ically
        ical ics ic ings ing edly ed ers er ors or ies es ions ion ly al y s e"""
    ),
}

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？؟;])[\s\"'»”)\]]+|[\r\n]+|(?<=[。！？])")
_WORD = re.compile(r"[^\W\d_]+(?:[-’'][^\W\d_]+)*")

SENTENCE_LIMIT = 200
"""Sentences of one text that are looked at; what follows is left out."""

SENTENCE_LENGTH = 600
"""Characters after which a passage without a full stop is cut at a space."""


def fold(text: str) -> str:
    """Bring a text to the form in which words are compared.

    Lower case, compatibility forms unified, accents removed, control characters and unpaired
    surrogates turned into spaces.
    """
    if text.isascii() and text.isprintable():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(
        character if character.isprintable() or character == "\n" else " "
        for character in decomposed
        if not unicodedata.combining(character)
    )


@lru_cache(maxsize=65_536)
def fold_word(word: str) -> str:
    """Fold one word, as ``fold`` does; texts say the same words again and again."""
    return fold(word)


def words(text: str) -> list[str]:
    """Give the words of a text in order, as written; digits alone are not words."""
    return _WORD.findall(text)


@lru_cache(maxsize=65_536)
def stem(word: str, language: str | None) -> str:
    """Cut the ending off a word, so that its forms count as one.

    Light suffix removal (longest first, at least four letters stay), in the spirit of J. Savoy,
    *Light stemming approaches for the French, Portuguese, German and Hungarian languages* (2006).
    A word of no known language is only folded.
    """
    folded = fold_word(word)
    for suffix in _SUFFIXES.get(language or "", ()):
        if folded.endswith(suffix) and len(folded) - len(suffix) >= 4:
            return folded[: -len(suffix)]
    return folded


def guess_language(text: str) -> str | None:
    """Guess which of es, en, pt, fr a text is written in.

    A vote of function words and of spellings that only one language has; ``None`` where nothing
    speaks for any of them (another script, a figure, an empty text).

    >>> guess_language("Formação de compradores públicos")
    'pt'
    """
    lowered = text[:4_000].casefold()
    tokens = fold(lowered).replace("’", "'").replace("'", " ").split()
    votes = {
        language: sum(_VOTES[language].get(token.strip(".,;:()"), 0) for token in tokens)
        + 4 * len(_MARKS[language].findall(lowered))
        for language in LANGUAGES
    }
    best = max(LANGUAGES, key=lambda language: votes[language])
    return best if votes[best] else None


def split_sentences(text: str) -> tuple[str, ...]:
    """Cut a text into sentences, stripped, without empty ones.

    Full stops, line ends and semicolons end a sentence; a passage longer than ``SENTENCE_LENGTH``
    is cut at a space; at most ``SENTENCE_LIMIT`` are given.
    """
    sentences: list[str] = []
    for part in _SENTENCE_END.split(text):
        rest = " ".join(part.split())
        while len(rest) > SENTENCE_LENGTH:
            cut = rest.rfind(" ", SENTENCE_LENGTH // 2, SENTENCE_LENGTH)
            cut = cut if cut > 0 else SENTENCE_LENGTH
            sentences.append(rest[:cut])
            rest = rest[cut:].lstrip()
            if len(sentences) >= SENTENCE_LIMIT:
                break
        if any(character.isalnum() for character in rest):
            sentences.append(rest)
        if len(sentences) >= SENTENCE_LIMIT:
            break
    return tuple(sentences[:SENTENCE_LIMIT])


def _content_stems(text: str, language: str | None) -> dict[str, str]:
    """Map each stem of a text's content words to the first form in which it is written."""
    stems: dict[str, str] = {}
    for word in words(text):
        folded = fold_word(word)
        if len(folded) > 3 and folded not in ALL_STOP_WORDS:
            stems.setdefault(stem(word, language), word.lower())
    return stems


def shared_words(
    a: str, b: str, language_a: str | None, language_b: str | None, limit: int = 12
) -> tuple[tuple[str, str], ...]:
    """Name the content words that two texts share, longest stems first.

    Words count as shared when their stems agree, within one language or across two
    ("residuos", "resíduos").

    Returns
    -------
    tuple of (form in `a`, form in `b`), at most `limit` of them.
    """
    stems_a = _content_stems(a, language_a or guess_language(a))
    stems_b = _content_stems(b, language_b or guess_language(b))
    common = sorted(stems_a.keys() & stems_b.keys(), key=lambda s: (-len(s), s))
    return tuple((stems_a[s], stems_b[s]) for s in common[:limit])
