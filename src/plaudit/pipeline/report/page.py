"""The page: what was learned from how many answers, in plain words, with figures; nothing is fetched from outside."""

import html
import json
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.pipeline import saved
from plaudit.pipeline.config import RunConfig, load
from plaudit.pipeline.evaluate import true_returns
from plaudit.pipeline.report import figures
from plaudit.pipeline.report.clips import Behaviour, behaviour
from plaudit.pipeline.report.words import TEXTS, Language
from plaudit.pipeline.run_folder import RunFolder, seed_of, write_whole
from plaudit.pipeline.statistics import brier, rank_correlation, recalibration

STYLE = """
:root{color-scheme:light dark;--ink:#1c2330;--soft:#5d6673;--paper:#fbfaf7;--card:#fff;--line:#e4e2dc;--mark:#2a7ab8}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#a4abb6;--paper:#14171c;--card:#1c2027;--line:#2d333d}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,"Noto Sans CJK SC",sans-serif}
main{max-width:62rem;margin:auto;padding:2rem 1rem 4rem}h1{font-size:2rem;margin:0 0 .5rem}h2{font-size:1.1rem;margin:0}
.lead{font-size:1.15rem;margin:.3rem 0}.verdict{font-size:1.15rem;font-weight:600;color:var(--mark);margin:.3rem 0 1.5rem}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));gap:1rem}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1rem 1.2rem}
section p{color:var(--soft);margin:.3rem 0 .6rem;font-size:.95rem}section svg{width:100%;height:auto}
.clips{display:flex;gap:1rem;flex-wrap:wrap}.clips figure{margin:0;text-align:center;color:var(--soft)}
.clips img{border-radius:8px;display:block;background:#fff}details{margin-top:1.5rem}
pre{overflow:auto;font-size:.8rem;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:1rem}
"""


def write_report(folder: RunFolder, language: Language = "en") -> Path:
    """Write report.html of a run, finished or not, and return its path."""
    words, config = TEXTS[language], load(folder.config)
    rows, manifest = list(folder.rows()), folder.read_manifest()
    before, after = _behaviours(folder, config)
    asked = config.feedback.labels > 0 and bool(rows)
    parts = [_head(words, config, manifest, rows, folder), '<div class="grid">', _clips(words, before, after)]
    parts.append(_returns(words, rows))
    if asked:
        parts += [_against_labels(words, rows), _agreement(words, before, after), *_forecasts(words, rows)]
        parts.append(_said(words, rows))
    parts.append("</div>")
    parts.append(_details(words, folder, manifest, rows))
    title = html.escape(words["title"].format(environment=config.environment.id))
    page = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )
    write_whole(folder.report, page)
    return folder.report


def _behaviours(folder: RunFolder, config: RunConfig) -> tuple[Behaviour | None, Behaviour | None]:
    reward = None
    if (folder.path / "reward" / saved.CARD).exists():
        reward = saved.load_reward(folder.path / "reward").reward
    found: list[Behaviour | None] = []
    for name in ("policy-start", "policy"):
        path = folder.path / name
        there = (path / saved.CARD).exists()
        policy = saved.load_policy(path) if there else None
        seed = seed_of(config.seed, "report")
        found.append(None if policy is None else behaviour(policy, config.environment, reward, seed))
    return found[0], found[1]


def _head(
    words: dict[str, str],
    config: RunConfig,
    manifest: dict[str, Any],
    rows: list[dict[str, Any]],
    folder: RunFolder,
) -> str:
    people = len(config.feedback.people)
    who = words["people_one"] if people == 1 else words["people_many"].format(count=people)
    weight = f"{config.reward.weights.get('environment', 0.0):g}"
    last = rows[-1] if rows else {}
    algorithm = Path(config.algorithm).stem.upper()
    said = words["from_people" if config.feedback.labels else "plain"].format(
        labels=last.get("feedback/labels", 0), people=who, algorithm=algorithm, weight=weight
    )
    result = manifest.get("result")
    if result is None:
        verdict = words["unfinished"].format(status=manifest.get("status"))
    else:
        start = saved.load_policy(folder.path / "policy-start")
        seed = seed_of(config.seed, "evaluation")
        before = true_returns(start, config.environment, 20, seed).mean()
        verdict = words["verdict"].format(
            before=before, after=result["return_mean"], spread=result["return_std"], episodes=result["episodes"],
            steps=last.get("decisions", 0),
        )  # fmt: skip
    title = words["title"].format(environment=config.environment.id)
    return (
        f'<h1>{html.escape(title)}</h1><p class="lead">{html.escape(said)}</p>'
        f'<p class="verdict">{html.escape(verdict)}</p>'
    )


def _section(title: str, text: str, body: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>{body}</section>"


def _clips(words: dict[str, str], before: Behaviour | None, after: Behaviour | None) -> str:
    shown = []
    for name, one in (("before", before), ("after", after)):
        if one is not None and one.clip:
            picture = f'<img src="{one.clip}" alt="{words[name]}" width="200" height="200">'
            shown.append(f"<figure>{picture}<figcaption>{words[name]}</figcaption></figure>")
        elif one is not None:
            shown.append(f"<p>{html.escape(words['no_clip'].format(reason=one.reason))}</p>")
    return _section(words["clips"], words["clips_say"], f'<div class="clips">{"".join(shown)}</div>')


def _known(rows: list[dict[str, Any]], x: str, y: str) -> tuple[list[float], list[float]]:
    pairs = [(row[x], row[y]) for row in rows if row.get(x) is not None and row.get(y) is not None]
    return [a for a, _ in pairs], [b for _, b in pairs]


def _returns(words: dict[str, str], rows: list[dict[str, Any]]) -> str:
    steps, returns = _known(rows, "decisions", "rollout/ep_rew_mean")
    marks = [row["decisions"] for row in rows if "reward/nll" in row]
    figure = figures.curve(steps, returns, (words["steps"], words["true_return"]), marks)
    return _section(words["return"], words["return_say"], figure)


def _against_labels(words: dict[str, str], rows: list[dict[str, Any]]) -> str:
    last = dict(
        zip(*_known(rows, "feedback/labels", "rollout/ep_rew_mean"), strict=True)
    )  # before the next question
    figure = figures.curve(list(last), list(last.values()), (words["labels"], words["true_return"]))
    return _section(words["return_labels"], words["return_labels_say"], figure)


def _agreement(words: dict[str, str], before: Behaviour | None, after: Behaviour | None) -> str:
    groups = {
        words[name]: (one.true_returns, one.learned_returns)
        for name, one in (("before", before), ("after", after))
        if one is not None and one.learned_returns is not None
    }
    if not groups:
        return ""
    x, y = (np.concatenate([group[i] for group in groups.values()]) for i in (0, 1))
    figure = figures.scatter(groups, (words["true_return"], words["learned_return"]))
    return _section(words["agree"], words["agree_say"].format(rho=rank_correlation(x, y)), figure)


def _forecasts(words: dict[str, str], rows: list[dict[str, Any]]) -> list[str]:
    """Accuracy and calibration on answers that were forecast before they were learned from; ties are not scored."""
    at, hits, forecasts, outcomes = [], [], [], []
    for row in rows:
        p = np.asarray(row.get("reward/fresh_probabilities", []), dtype=float)
        y = np.asarray(row.get("reward/fresh_answers", []), dtype=float)
        p, y = p[y != 0.5], y[y != 0.5]
        if len(y):
            at.append(row["feedback/labels"])
            hits.append((int(((p > 0.5) == (y > 0.5)).sum()), len(y)))
            forecasts.append(p)
            outcomes.append(y)
    if not hits:
        return []
    p, y = np.concatenate(forecasts), np.concatenate(outcomes)
    share, count = sum(k for k, _ in hits) / len(y), len(y)
    accuracy = figures.shares(at, hits, (words["labels"], words["fresh_accuracy"]))
    calibration = figures.reliability(p, y, (words["forecast"], words["came_true"]))
    scores = {"brier": brier(p, y), "slope": recalibration(p, y)[0]}
    return [
        _section(words["accuracy"], words["accuracy_say"].format(share=share, count=count), accuracy),
        _section(words["calibration"], words["calibration_say"].format(**scores), calibration),
    ]


def _said(words: dict[str, str], rows: list[dict[str, Any]]) -> str:
    last = rows[-1]
    rates = {name: last.get(f"people/{name}", 0.0) for name in ("equal", "skip", "mistakes", "agreement")}
    text = words["said_say"].format(labels=last.get("feedback/labels", 0), **rates)
    return _section(words["said"], text, "")


def _details(
    words: dict[str, str], folder: RunFolder, manifest: dict[str, Any], rows: list[dict[str, Any]]
) -> str:
    last = {name: value for name, value in (rows[-1] if rows else {}).items() if not isinstance(value, list)}
    text = "\n\n".join(
        [
            folder.config.read_text(encoding="utf-8"),
            json.dumps(manifest, indent=2),
            json.dumps(last, indent=2),
        ]
    )
    return (
        f"<details><summary>{html.escape(words['details'])}</summary><pre>{html.escape(text)}</pre></details>"
    )
