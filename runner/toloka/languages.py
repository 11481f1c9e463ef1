"""The languages a text may be written in: the two-letter codes of ISO 639-1, and what is mistaken."""

from __future__ import annotations

from collections.abc import Mapping

_CODES = (
    "AA AB AE AF AK AM AN AR AS AV AY AZ BA BE BG BI BM BN BO BR BS CA CE CH CO CR CS CU CV CY "
    "DA DE DV DZ EE EL EN EO ES ET EU FA FF FI FJ FO FR FY GA GD GL GN GU GV HA HE HI HO HR HT "
    "HU HY HZ IA ID IE IG II IK IO IS IT IU JA JV KA KG KI KJ KK KL KM KN KO KR KS KU KV KW KY "
    "LA LB LG LI LN LO LT LU LV MG MH MI MK ML MN MR MS MT MY NA NB ND NE NG NL NN NO NR NV NY "
    "OC OJ OM OR OS PA PI PL PS PT QU RM RN RO RU RW SA SC SD SE SG SI SK SL SM SN SO SQ SR SS "
    "ST SU SV SW TA TE TG TH TI TK TL TN TO TR TS TT TW TY UG UK UR UZ VE VI VO WA WO XH YI YO "
    "ZA ZH ZU "
)
CODES = tuple(_CODES.split())

_MEANT: Mapping[str, str] = {
    "UA": "UK", "CN": "ZH", "JP": "JA", "GR": "EL", "CZ": "CS", "DK": "DA", "VN": "VI", "RS": "SR",
    "IL": "HE", "IN": "HI", "IR": "FA", "IW": "HE", "JI": "YI", "KZ": "KK", "GE": "KA", "BY": "BE",
    "AL": "SQ", "PH": "TL", "PK": "UR", "BD": "BN", "US": "EN", "GB": "EN", "MX": "ES",
    "TJ": "TG", "KG": "KY", "LK": "SI", "KH": "KM", "SH": "SR", "AT": "DE", "EG": "AR",
}  # fmt: skip
_WORDS: Mapping[str, str] = {
    "ENGLISH": "EN", "RUSSIAN": "RU", "SPANISH": "ES", "FRENCH": "FR", "GERMAN": "DE",
    "PORTUGUESE": "PT", "TURKISH": "TR", "ARABIC": "AR", "CHINESE": "ZH", "UKRAINIAN": "UK",
    "ENG": "EN", "RUS": "RU", "SPA": "ES", "FRA": "FR", "DEU": "DE", "GER": "DE", "POR": "PT",
}  # fmt: skip

BETTER_KNOWN_AS_COUNTRY: Mapping[str, tuple[str, str, str]] = {
    "AM": ("Amharic", "Armenia", "HY"),
    "BR": ("Breton", "Brazil", "PT"),
    "CH": ("Chamorro", "Switzerland", "DE"),
    "CO": ("Corsican", "Colombia", "ES"),
    "CR": ("Cree", "Costa Rica", "ES"),
    "EE": ("Ewe", "Estonia", "ET"),
    "IE": ("Interlingue", "Ireland", "EN"),
    "KR": ("Kanuri", "South Korea", "KO"),
    "SE": ("Northern Sami", "Sweden", "SV"),
    "SG": ("Sango", "Singapore", "EN"),
    "SI": ("Sinhala", "Slovenia", "SL"),
    "TN": ("Tswana", "Tunisia", "AR"),
    "TW": ("Twi", "Taiwan", "ZH"),
    "UK": ("Ukrainian", "the United Kingdom", "EN"),
    "VE": ("Venda", "Venezuela", "ES"),
}
"""What the code means, which country it is taken for, and the language that was meant then."""


def meant_by(word: str) -> str | None:
    """Find the code that somebody meant who wrote a word that is none."""
    upper = word.upper()
    base = upper.replace("_", "-").split("-")[0]
    for known in (upper, base):
        if known in CODES:
            return known
        if meant := _MEANT.get(known) or _WORDS.get(known):
            return meant
    return None
