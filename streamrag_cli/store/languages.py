"""Stemmers and function words of the supported languages, and language detection.

Text in other languages, code and mixed text are stemmed as English. The function words are removed from questions as
stop words, and `language_of` uses them to detect a document's language.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from snowballstemmer.basestemmer import BaseStemmer

ENGLISH: Final = ""
_STEMMERS: Final = {
    "da": "danish",
    "de": "german",
    "es": "spanish",
    "fr": "french",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
}
_WORDS: Final = {
    ENGLISH: """
        a about above after again against all also am an and any are as at be because been before being below
        between both but by can cannot could did do does doing down during each few for from further had has have
        having he her here hers him his how i if in into is it its itself just me more most my no nor not of off on
        once only or other our out over own s same shall she should so some such t than that the their them then
        there these they this those through to too under until up us very was we were what when where which while
        who whom whose why will with would you your
    """,
    "da": """
        af alle at blev blive bliver da de dem den denne der deres det dette dig din dit dog du efter eller en end
        er et for fra få får ham han hans har have havde hende hendes hos hun hvad hvem hver hvilke hvilken hvis
        hvor hvordan hvorfor hvornår i ikke ind ingen jeg kan kunne lige man mange med meget men mig min mit mod må
        når ned nogen noget nogle nu og også om op os over på sig sin sit skal skulle som sådan til ud under var ved
        vi vil ville være været
    """,
    "de": """
        aber alle allem allen aller alles als also am an andere anderen auch auf aus bei beim bin bis bist da dabei
        dafür damit dann das dass dazu dein deine dem den denn der deren des dessen dich die dies diese diesem
        diesen dieser dieses dir doch du durch ein eine einem einen einer eines er es etwas euch euer für gegen gibt
        hab habe haben hat hatte hatten hier hin ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede
        jedem jeden jeder jedes jener kann kein keine keinem keinen keiner können könnte machen man mehr mein meine
        mich mir mit muss müssen nach nicht nichts noch nun nur ob oder ohne sehr sein seine seinem seinen seiner
        seit sich sie sind so solche soll sollen sollte sondern sonst über um und uns unser unsere unter viel vom
        von vor wann war waren warum was weil welche welchem welchen welcher welches wenn wer werde werden wie
        wieder wieso will wir wird wo woher wohin wurde wurden zu zum zur zwar zwischen
    """,
    "es": """
        a al algo alguna algunas alguno algunos ante antes aquel aquella como con contra cual cuales cuando cuándo
        cuál cuáles cómo cuánto cuánta cuántos cuántas de del desde donde dónde durante e el él ella ellas ellos en
        entre era eran es esa esas ese eso esos esta está están estas este esto estos fue fueron ha han hasta hay la
        las le les lo los más me mi mis mucho muchos muy nada ni no nos nosotros nuestra nuestro o os otra otro
        otros para pero poco por porque puede pueden que qué quien quién quienes se sea ser si sí sin sobre son su
        sus también tan tanto te tiene tienen todo todos tu tus un una unas uno unos y ya yo
    """,
    "fr": """
        à ai alors au aucun aussi autre aux avant avec avoir c car ce ceci cela celle celui ces cet cette ceux
        chaque combien comme comment d dans de des depuis deux doit donc dont du elle elles en encore entre est et
        étaient était été être eu eux fait faut fois font il ils j je jusqu l la là le lequel les leur leurs lorsque
        lui m ma mais me même mes moi moins mon n ne ni nos notre nous on ont ou où par parce pas peu peut peuvent
        plus pour pourquoi près qu quand que quel quelle quelles quels qui quoi s sa sans se sera ses si soit son
        sont sous sur t ta te tes toi ton toujours tous tout toute toutes très tu un une vers vos votre vous y
    """,
    "it": """
        a ad ai al alla alle allo anche ancora aveva avere c che chi ci come con contro cosa cui da dagli dai dal
        dalla dalle dallo degli dei del della delle dello deve di dopo dove due e è ed era erano essere fa fino fra
        gli ha hanno ho i il in io l la le lei li lo loro lui ma mentre mi mia mio molto ne negli nei nel nella
        nelle nello niente noi non nostra nostro o ogni per perché però più poi può qual quale quali quando quanta
        quante quanti quanto quella quelle quelli quello questa queste questi questo qui se sei senza si sia sono
        sta stato su sua sue sugli sui sul sulla sulle sullo suo suoi tra tu tutti tutto un una uno vi voi
    """,
    "nl": """
        aan al alle als altijd andere ben bij dan dat de der deze die dit doch doen door dus een eens en er ge geen
        geweest haar had heb hebben heeft hem het hier hij hoe hoeveel hun iemand iets ik in is ja je kan kon kunnen
        maar me meer men met mij mijn moet moeten na naar niet niets nog nu of om omdat onder ons onze ook op over
        reeds te tegen toch toen tot u uit uw van veel voor waar waarom wanneer want waren was wat we wel welk welke
        werd wezen wie wij wil wordt worden zal ze zelf zich zij zijn zo zonder zou
    """,
    "no": """
        alle at av bare begge ble blei bli blir blitt da de deg dem den denne der dere deres det dette din disse du
        eller en enn er et ett etter for fordi fra før ha hadde han hans har henne hennes her hos hun hva hvem hver
        hvilke hvilken hvis hvor hvordan hvorfor i ikke ingen inn jeg kan kom kun kunne man mange med meg meget
        mellom men mer min mitt mot må når ned noe noen nå og også om opp oss over på samme seg selv sin sitt skal
        skulle slik som så til ut uten var ved vi vil ville vår være vært å
    """,
    "pt": """
        a à ao aos aquela aquele aquilo as às até com como da das de dela dele deles depois do dos e é ela elas ele
        eles em entre era eram essa essas esse esses esta está estão estas este estes eu foi foram há isso isto já
        lhe lhes mais mas me mesmo meu minha muito muitos na não nas nem no nos nós nossa nosso num numa o os ou
        para pela pelas pelo pelos pode podem por porque qual quais quando quanto quantos quanta quantas que quê
        quem são se seja sem ser seu seus só sob sobre sua suas também te tem têm ter teu tu tua tudo um uma umas
        uns você vocês
    """,
    "ru": """
        а без более бы был была были было быть в вам вас ведь весь во вот все всё всего всех вы где да даже для до
        его ее её если есть еще ещё же за здесь и из или им их к как какая какие какой когда кого кто ли либо между
        меня мне много может можно мой мы на над надо нам нас не него нее нет ни них но ну о об однако он она они
        оно от очень по под после потому почему при про раз с сам себя сколько со так также такой там те тем то того
        тоже той только том тот ты у уже хотя чего чей чем через что чтобы чья эта эти это этого этой этот я
    """,
    "sv": """
        all alla allt att av bara bli blir blivit blev de dem den denna deras dess dessa det detta dig din ditt du
        där då efter ej eller en er era ett från för ha hade han hans har hela henne hennes hon honom hos hur här i
        in ingen inom inte jag ju kan kommer kunde man med mellan men mer mig min mitt mot mycket måste när ni nu
        något några och också om oss på samma sedan sig sin sina sitt själv ska skall skulle som så till under upp
        ut utan vad var vara varför varit varje vart vem vi vid vilka vilken vilket vill vår vårt än är över
    """,
}
_SCRIPTS: Final = {
    "zh": "\u3400\u9fff",
    "ko": "\uac00\ud7a3",
    "th": "\u0e00\u0e7f",
    "ar": "\u0600\u06ff",
    "he": "\u0590\u05ff",
    "el": "\u0370\u03ff",
    "hi": "\u0900\u097f",
}
"""The first and last letter of the script of each language that is detected by its script."""
_KANA: Final = ("\u3040", "\u30ff")
_CYRILLIC: Final = ("\u0400", "\u04ff")
_NON_RUSSIAN_LETTERS: Final = frozenset("іїєґўћђљњџѓќј")
_SCRIPT_SHARE: Final = (
    0.4  # the minimum share of a script's letters; names and terms in the text often have Latin letters
)
_READ_CHARS: Final = 20_000
_WORD: Final = re.compile(r"[^\W\d_]+")
_FUNCTION_WORD_SHARE: Final = 0.15
"""A language is detected only if more than this share of the words are its function words. The share is about 0.4 in
prose, and near 0 in code and lists of names."""
_MAX_CACHED: Final = 50_000
_stem_cache: Final[dict[tuple[str, str], str]] = {}
_stem_lock: Final = Lock()  # stemmers are not thread-safe
_MIN_FUNCTION_WORDS: Final = 2
_MIN_RATIO_TO_ENGLISH: Final = 1.3
"""A language is detected only if its function words outweigh the English ones by this factor."""
FUNCTION_WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split()) for language, words in _WORDS.items()
}


LANGUAGES: Final = (*FUNCTION_WORDS, "ja", *_SCRIPTS)


def language_of(text: str) -> str:
    """The language of a document as a two-letter code. Code, mixed text and unknown languages count as `ENGLISH`.

    >>> language_of("Der Hund schläft auf dem Sofa, weil es dort warm ist."), language_of("The dog sleeps.")
    ('de', '')
    """
    sample = text[:_READ_CHARS].lower()
    by_script = None if sample.isascii() else _by_script(sample)
    return _by_function_words(sample) if by_script is None else by_script


def _by_script(sample: str) -> str | None:
    """The language of a text whose script identifies it; None if many languages use the script."""
    letters = {character: count for character, count in Counter(sample).items() if character.isalpha()}
    total = sum(letters.values()) or 1

    def share(first: str, last: str) -> float:
        return sum(count for letter, count in letters.items() if first <= letter <= last) / total

    if share(*_KANA) > _SCRIPT_SHARE / 4:
        return "ja"
    if share(*_CYRILLIC) > _SCRIPT_SHARE:
        return ENGLISH if not _NON_RUSSIAN_LETTERS.isdisjoint(letters) else "ru"
    for language, span in _SCRIPTS.items():
        if share(*span) > _SCRIPT_SHARE:
            return language
    return None


def _by_function_words(sample: str) -> str:
    counts = Counter(_WORD.findall(sample))
    weights = _function_word_weights()
    scores = dict.fromkeys(FUNCTION_WORDS, 0.0)
    for word in counts.keys() & weights.keys():
        for language in weights[word]:
            scores[language] += counts[word] / len(weights[word])
    best = max(scores, key=scores.__getitem__)
    matches = sum(counts[word] for word in FUNCTION_WORDS[best] & counts.keys())
    is_clear = scores[best] > _MIN_RATIO_TO_ENGLISH * scores[ENGLISH] and matches >= _MIN_FUNCTION_WORDS
    return best if is_clear and matches > _FUNCTION_WORD_SHARE * counts.total() else ENGLISH


@cache
def _function_word_weights() -> dict[str, list[str]]:
    """The languages in which each function word occurs. The fewer languages, the higher the word's weight."""
    languages: dict[str, list[str]] = {}
    for language, words in FUNCTION_WORDS.items():
        for word in words:
            languages.setdefault(word, []).append(language)
    return languages


def without_endings(text: str, language: str) -> str:
    """Stem the words of `text` if `language` has a stemmer; otherwise return `text` unchanged."""
    return _WORD.sub(lambda word: _stem(word[0].lower(), language), text) if language in _STEMMERS else text


def _stem(word: str, language: str) -> str:
    cached = _stem_cache.get((language, word))
    if cached is None:
        if len(_stem_cache) > _MAX_CACHED:
            _stem_cache.clear()
        with _stem_lock:
            cached = _stem_cache[language, word] = str(_stemmer(language).stemWord(word))
    return cached


@cache
def _stemmer(language: str) -> "BaseStemmer":
    import snowballstemmer  # imports in 10 ms

    return snowballstemmer.stemmer(_STEMMERS[language])
