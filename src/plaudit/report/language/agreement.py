"""Whether the learned reward wants the same as the hidden score, answer by answer."""

import numpy as np

from plaudit.report import page
from plaudit.report.evidence import Evidence
from plaudit.report.figures import BLUE, ORANGE, Curve, Labels, scatter
from plaudit.report.forecasts import FEW
from plaudit.report.language import trace
from plaudit.report.words import Words
from plaudit.runs.statistics import rank_correlation

LOW = 0.3
"""A rank correlation below this hardly is one."""


def agreement(run: Evidence, say: Words) -> str:
    """Learned reward against hidden score of every held-out answer; nothing where one of them is not known."""
    before, after = (trace.answer_scores(run, which) for which in ("before", "after"))
    if not before or not after:
        return ""
    groups = [
        Curve(before["hidden"], before["proxy"], ORANGE, say("model_before"), "s"),
        Curve(after["hidden"], after["proxy"], BLUE, say("model_after"), "o"),
    ]
    drawn = scatter(groups, Labels(say("hidden_score"), say("proxy_score"), say("agree_answers")))
    return page.section(
        say("agree_answers"), say("agree_answers_say"), page.picture(drawn), _correlations(before, after, say)
    )


def _correlations(before: dict[str, np.ndarray], after: dict[str, np.ndarray], say: Words) -> str:
    both = {name: np.concatenate([before[name], after[name]]) for name in before}
    whole, first, last = (rank_correlation(x["hidden"], x["proxy"]) for x in (both, before, after))
    said = [say("agree_answers_number", all=whole, before=first, after=last)]
    if np.isnan(last):
        said.append(say("agree_answers_one"))
    elif last < LOW and len(after["hidden"]) >= FEW:
        said.append(say("agree_answers_low"))
    return say.join(said)
