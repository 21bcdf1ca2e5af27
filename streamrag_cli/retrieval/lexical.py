"""Words of a question, and which of them are worth looking for. `store.words` stems them."""

import re
from typing import Final

STOP_WORDS: Final = frozenset(
    """
    a about above after again against all also am an and any are as at be because been before being below between both
    but by can cannot could did do does doing down during each few for from further had has have having he her here
    hers him his how i if in into is it its itself just me more most my no nor not of off on once only or other our out
    over own s same shall she should so some such t than that the their them then there these they this those through
    to too under until up us very was we were what when where which while who whom whose why will with would you your
    """.split()
)


def words(text: str) -> list[str]:
    """The lower-cased words of `text`, unstemmed, in order, repeats kept."""
    return re.findall(r"\w+", text.lower())


def content_words(text: str) -> list[str]:
    """The same without stop words; all words where nothing else is left."""
    found = words(text)
    return [word for word in found if word not in STOP_WORDS] or found
