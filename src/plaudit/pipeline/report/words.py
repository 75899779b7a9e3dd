"""The texts of the report by language, and how it writes numbers."""

from math import isfinite
from typing import Any, Literal

from plaudit.pipeline.report.chinese import CHINESE
from plaudit.pipeline.report.english import ENGLISH

Language = Literal["en", "zh"]
LANGUAGES: dict[Language, dict[str, str]] = {"en": ENGLISH, "zh": CHINESE}


class Words:
    """The texts of one language: `say("left", share="48%")`."""

    def __init__(self, language: Language):
        self.language = language
        self._texts = LANGUAGES[language]

    def __call__(self, name: str, **values: Any) -> str:
        """The text of this name with its values filled in; floats are written with three digits or so."""
        shown = {key: number(value) if isinstance(value, float) else value for key, value in values.items()}
        shown = {key: f"{value:,}" if isinstance(value, int) else value for key, value in shown.items()}
        return self._texts[name].format(**shown)


def number(value: float) -> str:
    """1,234, 12.3 or 0.12, with a real minus sign."""
    if not isfinite(value):
        return "–"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:,.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text.replace(",", "")) else f"{0:.{digits}f}"


def percent(share: float) -> str:
    """87%, or 0.5% where whole percents would hide it."""
    digits = 1 if min(share, 1 - share) < 0.01 and share not in (0, 1) else 0
    return f"{100 * share:.{digits}f}%"


def interval(low: float, high: float) -> str:
    """82–91%."""
    return f"{100 * low:.0f}–{100 * high:.0f}%"
