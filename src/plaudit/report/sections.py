"""The sections that every run has, whatever learned: its state, its answers, and how to make it again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from plaudit.errors import PlauditError
from plaudit.maths.intervals import wilson
from plaudit.report import data, page
from plaudit.report.data import SIDES, AnswerCounts, Medium, Row, RunData, is_number
from plaudit.report.evaluations import Forecasts
from plaudit.report.texts import Texts, interval, number, percent

DRAWS = 8
"""How many answers the best one was chosen from."""
OPEN = 3
"""Prompts shown at once; the others wait in a drawer."""
LEVELS = 3
"""Strengths of a colour."""
USUAL = 0.95
"""The share of tokens that move the reward by less than what the strongest colour stands for."""


@dataclass(frozen=True)
class Piece:
    """A stretch of an answer as it is shown."""

    text: str
    adds: float | None
    """By how much it moves the learned reward."""
    end: bool = False
    """The sign that the answer is over."""


def samples(run: RunData, say: Texts) -> str:
    """The card; why there is none where they could not be read, nothing before the end of a run."""
    rows, trouble = data.samples(run.folder)
    if trouble:
        return page.section(say("samples"), say("trouble", reason=trouble), "", kind="broad")
    if not rows:
        return ""
    scale = strongest(rows)
    shown = [_prompt(row, scale, say) for row in rows]
    body = (_legend(scale, say) if scale else "") + "".join(shown[:OPEN])
    if rest := shown[OPEN:]:
        more = page.text(say("samples_more", count=len(rest)))
        body += f'<details class="more"><summary>{more}</summary>\n{"".join(rest)}</details>\n'
    lead = say.join([say("samples_say", draws=DRAWS), say("samples_colours") if scale else ""])
    return page.section(say("samples"), lead, body, _means(rows, say), kind="broad")


def strongest(rows: Sequence[Row]) -> float:
    """What the strongest colour stands for: nearly all tokens move the reward by less. 0 where nothing is known."""
    moves = [
        abs(p.adds) for row in rows for side in _answers(row) for p in pieces(row[side]) if p.adds is not None
    ]
    return float(np.quantile(moves, USUAL)) if moves else 0.0


def pieces(answer: Row) -> list[Piece]:
    """An answer in its tokens; one without text of its own counts to the next. Whole where tokens are not known."""
    text, tokens, adds = str(answer.get("text", "")), answer.get("tokens"), answer.get("adds")
    if not isinstance(tokens, list) or not tokens:
        return [Piece(text, None)]
    tokens = [str(token) for token in tokens]
    known = isinstance(adds, list) and len(adds) == len(tokens) and all(map(is_number, adds))
    moves: list[Any] = adds if known and isinstance(adds, list) else [None] * len(tokens)
    joined, whole, waiting = "".join(tokens), [], 0.0
    mark = joined[len(text) :] if joined.startswith(text) else ""
    for place, (token, move) in enumerate(zip(tokens, moves, strict=True)):
        moved = None if move is None else float(move) + waiting
        waiting = 0.0
        last = place == len(tokens) - 1 and bool(mark) and token.endswith(mark)
        shown = token[: -len(mark)] if last else token
        if last and not shown:
            whole.append(Piece(mark, moved, end=True))
        elif shown:
            whole.append(Piece(shown, moved))
            whole += [Piece(mark, None, end=True)] if last else []
        else:
            waiting = moved or 0.0
    return whole


def level(adds: float, scale: float) -> int:
    """How strongly a token is coloured, from 0 (hardly moves the reward) to `LEVELS`."""
    return 0 if scale <= 0 else min(LEVELS, round(LEVELS * abs(adds) / scale))


def _answers(row: Row) -> list[str]:
    return [side for side in SIDES if isinstance(row.get(side), dict)]


def _prompt(row: Row, scale: float, say: Texts) -> str:
    """A prompt and its answers beside each other."""
    columns = []
    for side in _answers(row):
        name = say("best_of", draws=DRAWS) if side == "best" else say(side)
        whole = pieces(row[side])
        whole[0] = replace(whole[0], text=whole[0].text.lstrip(" ") or whole[0].text)
        spans = "".join(_span(piece, scale, say) for piece in whole)
        columns.append(
            f'<div><p class="which">{page.text(name)}</p><p class="answer">{spans}</p>'
            f'<p class="scores">{page.text(_scores(row[side], say))}</p></div>\n'
        )
    prompt = page.text(page.visible(str(row.get("prompt", ""))))
    return f'<div class="sample"><p class="prompt">{prompt}</p><div class="sides">\n{"".join(columns)}</div></div>\n'


def _span(piece: Piece, scale: float, say: Texts) -> str:
    shown = page.text(say("end_mark") if piece.end else page.visible(piece.text))
    classes = ["end"] if piece.end else []
    title = ""
    if piece.adds is not None and scale:
        strength = level(piece.adds, scale)
        classes += [f"{'up' if piece.adds > 0 else 'down'}{strength}"] if strength else []
        title = f' title="{signed(piece.adds)}"'
    kind = f' class="{" ".join(classes)}"' if classes else ""
    return f"<span{kind}{title}>{shown}</span>" if kind or title else shown


def signed(value: float) -> str:
    """+0.45 or -0.45, with a real minus sign."""
    return ("+" if value > 0 else "") + number(value)


def _scores(answer: Row, say: Texts) -> str:
    shown = [
        f"{say(name)} {number(float(answer[name]))}"
        for name in ("gold_reward", "proxy_reward")
        if is_number(answer.get(name))
    ]
    return " · ".join(shown)


def _legend(scale: float, say: Texts) -> str:
    steps = [-1 + i / LEVELS for i in range(2 * LEVELS + 1)]
    shown = []
    for step in steps:
        strength, value = round(LEVELS * abs(step)), signed(step * scale) if step else "0"
        kind = f' class="{"up" if step > 0 else "down"}{strength}"' if strength else ""
        shown.append(f"<span{kind}>{page.text(value)}</span>")
    lowers, raises = page.text(say("lowers")), page.text(say("raises"))
    return f'<p class="scale">{lowers} {" ".join(shown)} {raises}</p>\n'


def _means(rows: Sequence[Row], say: Texts) -> str:
    """The mean rewards of the three sides, over the prompts that have them all."""
    means = []
    for name in ("gold_reward", "proxy_reward"):
        whole = [[row[side].get(name) for side in SIDES] for row in rows if len(_answers(row)) == len(SIDES)]
        whole = [three for three in whole if all(map(is_number, three))]
        if whole:
            values = zip(SIDES, np.mean(np.array(whole, dtype=np.float64), axis=0).tolist(), strict=True)
            means.append(
                say("samples_means", measure=say(name), count=len(whole), draws=DRAWS, **dict(values))
            )
    return say.join(means)


KINDS = ("first", "second", "equal", "both_bad", "skip")
RATES = ("mistakes", "equal", "skip")
MODULES: dict[Medium, str] = {"control": "control", "language": "text"}
"""Where the sections of each medium are: `part`, `view`, `speaking` and `subject`."""


def of_medium(medium: Medium) -> Any:
    """The module with the sections of a medium, imported when a run needs it: language needs no environments."""
    return import_module(f"plaudit.report.{MODULES[medium]}")


def people(run: RunData, say: Texts) -> str:
    """Who answered: people, or simulated ones, who are never called people alone."""
    if run.simulated is None:
        return say("people_some")
    if not run.simulated:
        return say("people_real")
    return say("people_one") if run.simulated == 1 else say("people_many", count=run.simulated)


def algorithm(config: Row) -> str:
    """PPO, or the name of somebody's own file."""
    name = str(config.get("algorithm", "ppo"))
    return Path(name).stem if name.endswith(".py") else name.upper()


def status(run: RunData, say: Texts) -> str:
    """Whether the run is over, and what of it could not be read."""
    state, told = run.manifest.get("status"), ""
    if state in ("running", "stopped"):
        told = page.paragraph(say(f"status_{state}", path=str(run.folder.path)), "notice")
    if state == "failed":
        told = page.paragraph(say("status_failed", error=str(run.manifest.get("error", ""))), "notice")
    return told + "".join(
        page.paragraph(say("trouble", reason=trouble), "notice") for trouble in run.troubles
    )


ASKED = {
    "comparison": "asked_comparison",
    "ranking": "asked_ranking",
    "rating": "asked_rating",
    "binary": "asked_binary",
}
"""The text that says what a kind of question asks; of other kinds the name stands for it."""
OF_KINDS = {"from_people": "from_people_kinds", "language_people": "language_people_kinds"}


def asked(text: str, run: RunData, say: Texts) -> str:
    """What people were asked and how often; with the kinds of questions where not all were comparisons."""
    told = {"labels": answered(run), "algorithm": algorithm(run.config)}
    shares = (run.config.get("feedback") or {}).get("kinds") or {"comparison": 1.0}
    kinds = [kind for kind, share in shares.items() if share]
    if kinds == ["comparison"]:
        return say(text, **told)
    names = [say(ASKED[kind]) if kind in ASKED else kind for kind in kinds]
    return say(OF_KINDS[text], kinds=("; " if say.language == "en" else "；").join(names), **told)


def answered(run: RunData) -> int:
    """Answers there were to the questions that were planned, also those that only check."""
    feedback = run.config.get("feedback") or {}
    if not feedback.get("held_out"):
        return run.labels
    try:
        checks = data.together(data.answers(run.folder)).held_out
    except PlauditError:
        return run.labels
    return min(run.labels + checks, feedback.get("labels", 0))  # others that check were not planned here


def answer_tiles(run: RunData, forecasts: Forecasts, say: Texts) -> list[str]:
    """How many answers there were, and how many of the new ones were foreseen."""
    tiles = []
    if run.asks_people:
        planned = (run.config.get("feedback") or {}).get("labels", run.labels)
        count = answered(run)
        note = say("tile_labels_note" if count >= planned else "tile_labels_part", planned=planned)
        tiles.append(page.tile(f"{count:,}", say("tile_labels"), note))
    if len(forecasts.outcomes):
        hits, n = int(forecasts.right.sum()), len(forecasts.outcomes)
        note = say("tile_forecast_note", low_high=interval(*wilson(hits, n)), count=n)
        tiles.append(page.tile(percent(hits / n), say("tile_forecast"), note))
    return tiles


def time(run: RunData, say: Texts) -> str:
    """How long the run took: 4 min, or 40 s."""
    seconds = max((row.get("time/seconds", 0.0) for row in run.rows), default=0.0)
    if seconds >= 120:
        return say("minutes", count=round(seconds / 60))
    return say("seconds", count=round(seconds))


def answers(run: RunData, truth: str, say: Texts) -> str:
    """Counts of answers by person, sides, and what the flaws of simulated people came to.

    `truth` is what those judge by: true_return or gold_reward.
    """
    try:
        counts = data.answers(run.folder)
    except PlauditError as error:
        return page.section(say("people_answers"), say("trouble", reason=str(error)), "")
    if not counts:
        return ""
    everyone = data.together(counts)
    kinds = [kind for kind in KINDS if kind in ("first", "second") or everyone.counts.get(kind)]
    rows = [_row(name, one, kinds) for name, one in counts.items()] if len(counts) > 1 else []
    rows.append(_row(say("everyone"), everyone, kinds))
    head = [say("person"), say("total"), *(say(kind) for kind in kinds), say("left")]
    held_out = say("people_answers_held_out", count=everyone.held_out) if everyone.held_out else ""
    others = ", ".join(f"{kind} {count:,}" for kind, count in sorted(everyone.others.items()))
    besides = ""
    if others:
        besides = say("people_answers_others" if everyone.total else "people_answers_only", kinds=others)
    ordered = everyone.total or everyone.others.keys() - {"rating", "binary"}  # else nothing could agree
    result = say.join([besides, held_out, _rates(run, truth, say) if ordered else ""])
    if not everyone.total:
        return page.section(say("people_answers"), result, "")
    return page.section(say("people_answers"), say("people_answers_say"), page.table(head, rows), result)


def _row(name: str, one: AnswerCounts, kinds: list[str]) -> list[str]:
    left = "–"
    if one.sided:
        left = f"{percent(one.left / one.sided)} ({interval(*wilson(one.left, one.sided))})"
    return [name, f"{one.total:,}", *(f"{one.counts.get(kind, 0):,}" for kind in kinds), left]


def _rates(run: RunData, truth: str, say: Texts) -> str:
    """The rates simulated people achieved; nothing where there were none."""
    for row in reversed(run.rows):
        rates = {name: row.get(f"people/{name}") for name in RATES}
        if all(is_number(rate) for rate in rates.values()):
            shares = {name: percent(float(rate or 0)) for name, rate in rates.items()}
            return say.join([say("rates", **shares), _agreed(row, truth, say)])
    return ""


def _agreed(row: Row, truth: str, say: Texts) -> str:
    """How many pairs are worth exactly the same, where that was counted, and how many of the others were put in their
    true order."""
    agreed, tied = row.get("people/agreement"), row.get("people/tied")
    told = []
    if is_number(tied) and tied:
        told.append(say(f"rates_tied_{truth}", tied=percent(tied)))
    if is_number(agreed) and tied != 1:
        told.append(say(f"rates_agreement_{truth}", agreement=percent(agreed)))
    return say.join(told)


def details(run: RunData, say: Texts) -> str:
    """A closed drawer with everything needed to make this run again."""
    manifest = run.manifest
    facts = [
        (say("status"), manifest.get("status")),
        (say("seed"), run.seed),
        (say("threads"), manifest.get("threads")),
        ("resume", manifest.get("resume")),
        ("platform", manifest.get("platform")),
        ("config_sha256", manifest.get("config_sha256")),
    ]
    body = _titled(
        say("run"), page.table((), [(name, str(value)) for name, value in facts if value is not None])
    )
    versions = manifest.get("versions") or {}
    body += _titled(say("versions"), page.table((), [(name, str(value)) for name, value in versions.items()]))
    last = [(name, _shown(value)) for name, value in (run.rows[-1] if run.rows else {}).items()]
    body += _titled(say("metrics"), page.table((), [line for line in last if line[1]]))
    if run.written:
        config = yaml.safe_dump(run.written, sort_keys=False, allow_unicode=True)
        body += _titled(say("config"), f"<pre>{page.text(config)}</pre>\n")
    return f"<details><summary>{page.text(say('details'))}</summary>\n{body}</details>\n"


def _titled(title: str, body: str) -> str:
    return f"<h3>{page.text(title)}</h3>\n{body}"


def _shown(value: object) -> str:
    """Numbers in a table; nothing for lists."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 100 else number(value)
    return value if isinstance(value, str) else ""
