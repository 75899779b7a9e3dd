"""The texts of the report, one file for each language of people (texts/*.yaml), and how it writes numbers."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from math import isfinite
from typing import Literal

import yaml

Language = Literal["en", "zh"]


@cache
def load(language: Language) -> dict[str, str]:
    """The texts of a language by name."""
    file = files("plaudit.report") / "texts" / f"{language}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


class Texts:
    """The texts of one language: `say("left", share="48%")`."""

    def __init__(self, language: Language, **given: str):
        self.language: Language = language
        self._texts, self._given = load(language), given

    def __call__(self, name: str, /, **values: object) -> str:
        """The text of this name with its values filled in; floats are written with three digits or so."""
        shown = {key: number(value) if isinstance(value, float) else value for key, value in values.items()}
        shown = {key: f"{value:,}" if isinstance(value, int) else value for key, value in shown.items()}
        return self._texts[name].format(**self._given | shown)

    def knowing(self, **given: str) -> "Texts":
        """The same texts with some values filled in everywhere."""
        return Texts(self.language, **self._given | given)

    def join(self, sentences: Sequence[str]) -> str:
        """Sentences after each other."""
        return (" " if self.language == "en" else "").join(sentence for sentence in sentences if sentence)


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
