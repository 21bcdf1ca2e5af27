"""English words for numbers, for units and for the precision of a number."""

from collections.abc import Mapping
from typing import Final, NamedTuple

DIGITS: Final[Mapping[str, float]] = {
    word: float(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
        " seventeen eighteen nineteen".split()
    )
}
TENS: Final[Mapping[str, float]] = {
    word: 10.0 * value for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)
} | {"fourty": 40.0}
MAGNITUDES: Final[Mapping[str, float]] = {
    **dict.fromkeys(("hundred", "hundreds"), 1e2),
    **dict.fromkeys(("thousand", "thousands"), 1e3),
    **dict.fromkeys(("million", "millions"), 1e6),
    **dict.fromkeys(("billion", "billions"), 1e9),
    **dict.fromkeys(("trillion", "trillions"), 1e12),
    **dict.fromkeys(("dozen", "dozens"), 12.0),
}
ORDINALS: Final[Mapping[str, float]] = {
    word: float(value)
    for value, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth"
        " fifteenth sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        1,
    )
} | {"thirtieth": 30.0, "fortieth": 40.0, "fiftieth": 50.0, "hundredth": 100.0}
DECADES: Final[Mapping[str, float]] = {f"{word[:-1]}ies": value for word, value in TENS.items() if word != "fourty"}
FRACTIONS: Final[Mapping[str, float]] = {
    "half": 1 / 2,
    "halves": 1 / 2,
    "thirds": 1 / 3,
    "quarter": 1 / 4,
    "quarters": 1 / 4,
    "fourths": 1 / 4,
    "fifths": 1 / 5,
    "tenths": 1 / 10,
}
ROMAN: Final[Mapping[str, int]] = {
    numeral: value
    for value, numeral in enumerate(
        "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX XXI XXII XXIII XXIV XXV".split(), 1
    )
} | {"XL": 40, "L": 50, "XLV": 45, "XXX": 30}
IMPLIED: Final[Mapping[str, tuple[float, ...]]] = {
    **dict.fromkeys(("half", "halved", "halves", "halving"), (0.5, 50.0, 2.0)),
    **dict.fromkeys(("third", "thirds"), (3.0, 1 / 3, 33.0, 0.33)),
    **dict.fromkeys(("quarter", "quarters", "quarterly", "fourth"), (4.0, 0.25, 25.0)),
    **dict.fromkeys(("twice", "double", "doubled", "doubles", "doubling", "both", "pair", "couple", "twin"), (2.0,)),
    **dict.fromkeys(("either", "neither", "dual", "second", "two"), (2.0,)),
    **dict.fromkeys(("thrice", "triple", "tripled", "triples", "trio"), (3.0,)),
    **dict.fromkeys(("decade", "decades"), (10.0,)),
    **dict.fromkeys(("century", "centuries", "centennial"), (100.0,)),
    "millennium": (1000.0,),
    "fortnight": (14.0, 2.0),
    **dict.fromkeys(("week", "weekly"), (7.0,)),
    **dict.fromkeys(("year", "annual", "yearly"), (12.0,)),
    "midnight": (0.0, 24.0, 12.0),
    "noon": (12.0,),
    **dict.fromkeys(("no", "none", "never", "not", "without", "nothing", "neither", "free", "cannot"), (0.0,)),
}
"""The numbers that a word may imply: "half" may stand for 0.5, 50 (percent) or 2."""


class Unit(NamedTuple):
    """A unit of measurement. `factor` is its size in its dimension's base units: a minute has 60 seconds."""

    dimension: str
    factor: float


def _units(dimension: str, **factors: float) -> dict[str, Unit]:
    return {name: Unit(dimension, factor) for names, factor in factors.items() for name in names.split("_")}


UNITS: Final[Mapping[str, Unit]] = {
    **_units(
        "time",
        ns_nanosecond_nanoseconds=1e-9,
        us_microsecond_microseconds=1e-6,
        ms_millisecond_milliseconds=1e-3,
        s_sec_secs_second_seconds=1.0,
        min_mins_minute_minutes=60.0,
        h_hr_hrs_hour_hours=3600.0,
        d_day_days=86_400.0,
        week_weeks=604_800.0,
        month_months=2_629_800.0,
        year_years_yr_yrs=31_557_600.0,
        decade_decades=315_576_000.0,
        century_centuries=3_155_760_000.0,
    ),
    **_units(
        "bytes",
        byte_bytes=1.0,
        kb_kib_kilobyte_kilobytes_kibibytes=1e3,
        mb_mib_megabyte_megabytes_mebibytes=1e6,
        gb_gib_gigabyte_gigabytes_gibibytes=1e9,
        tb_tib_terabyte_terabytes_tebibytes=1e12,
    ),
    **_units(
        "length",
        nm_nanometre_nanometres_nanometer_nanometers=1e-9,
        mm_millimetre_millimetres_millimeter_millimeters=1e-3,
        cm_centimetre_centimetres_centimeter_centimeters=1e-2,
        m_metre_metres_meter_meters=1.0,
        km_kilometre_kilometres_kilometer_kilometers=1e3,
        inch_inches=0.0254,
        ft_foot_feet=0.3048,
        yd_yard_yards=0.9144,
        mi_mile_miles=1609.34,
    ),
    **_units(
        "mass",
        mg_milligram_milligrams=1e-3,
        g_gram_grams_gramme_grammes=1.0,
        kg_kilogram_kilograms=1e3,
        oz_ounce_ounces=28.35,
        lb_lbs_pound_pounds=453.6,
        tonne_tonnes_ton_tons=1e6,
    ),
    **_units("volume", cl_centilitre_centilitres=1e-2, dl_decilitre_decilitres=0.1),
    **_units("volume", ml_millilitre_millilitres_milliliter_milliliters=1e-3, l_litre_litres_liter_liters=1.0),
    **_units("area", ha_hectare_hectares=1.0, acre_acres=0.4047),
    **_units("frequency", hz=1.0, khz=1e3, mhz=1e6, ghz=1e9),
}
EVERY: Final[Mapping[str, float]] = {
    word: UNITS[unit].factor
    for unit, words in {
        "second": "second",
        "minute": "minute",
        "hour": "hour hourly",
        "day": "day daily",
        "week": "week weekly",
        "month": "month monthly",
        "year": "year yearly annual annually",
        "decade": "decade",
        "century": "century",
    }.items()
    for word in words.split()
}
"""The seconds in each unit of time that a text may mention without a number, such as "an hour" or "daily"."""

ALL: Final = frozenset("all every each fully full entire entirely whole wholly completely always".split())
"""Words that may stand for 100%."""
BETWEEN: Final = frozenset(
    "working business consecutive calendar nautical square cubic full whole more further additional extra other".split()
)
"""Words that may separate a number from its unit or noun, as in "five working days"."""
APPROXIMATE: Final = frozenset(
    "about approximately approx around roughly circa ca some nearly almost estimated ~ \u2248 close"
    " roundabout averaging average".split()
)
LOWER_BOUND: Final = frozenset("over exceeding exceeds exceeded above least more beyond greater longer".split())
UPPER_BOUND: Final = frozenset("under below most less fewer within up maximum".split())
MONTHS: Final[Mapping[str, int]] = {
    word: number
    for number, words in enumerate(
        (
            "january jan",
            "february feb",
            "march mar",
            "april apr",
            "may",
            "june jun",
            "july jul",
            "august aug",
            "september sep sept",
            "october oct",
            "november nov",
            "december dec",
        ),
        1,
    )
    for word in words.split()
}
