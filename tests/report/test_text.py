"""The page of a language run: what it says, in both languages, and that it is there whatever is missing."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from plaudit.environments.language.config import SERVICE
from plaudit.report import charts, data, sections, text, write_report
from plaudit.report.texts import Texts
from plaudit.runs.folder import RunFolder
from plaudit.stages.adapters import samples as written
from tests.report.made_language_run import FALLING, Made, make
from tests.report.pages import Page

GAMED = Made(
    gold=FALLING, tokens=(20, 22, 26, 30, 40, 50, 60), capped=(0, 0, 0, 0.1, 0.2, 0.3, 0.5),
    repetition=(0.01, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3), wins=(0.3, 0.2, 0.4),
)  # fmt: skip
STOPPED = replace(GAMED, kept=4, watched=(0.7, 0.6, 0.4, 0.2), wins=(0.8, 0.7, 0.9))
HOSTILE = (
    '<script>alert(1)</script>\u0000\u001b<img src=x onerror=alert(2)> href="https://example.org" {braces} \\'
)


def written_page(folder: RunFolder, language: str = "en") -> Page:
    """The page of a folder, taken apart; a tag that is not closed is noticed here."""
    text = write_report(folder, language).read_text(encoding="utf-8")  # pyright: ignore
    return Page(text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that went well."""
    return make(tmp_path_factory.mktemp("runs") / "well")


@pytest.fixture(scope="module")
def english(finished: RunFolder) -> str:
    """Its page."""
    return write_report(finished).read_text(encoding="utf-8")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty figures, for tests that look elsewhere: drawing is most of the work."""
    monkeypatch.setattr(charts, "svg", lambda figure, about: "<svg></svg>")


@pytest.mark.slow
def test_the_page_is_whole_and_fetches_nothing(english: str) -> None:
    page = Page(english)
    assert page.tags["svg"] == 7  # scores, over, distance, drift, agreement, accuracy, calibration
    assert page.tags["script"] == page.tags["img"] == page.tags["link"] == 0
    assert all(link.startswith("#") for link in page.links)
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", english)) <= set(page.ids)
    assert not re.search(r"(src|href)=\"(https?:)?//", english) and "@import" not in english
    assert "nan" not in re.findall(r"\w+", page.words.split("Settings, versions")[0].lower())


def test_colours_have_names_that_both_grounds_define(english: str) -> None:
    style = english[english.index("<style>") : english.index("</style>")]
    light, dark = style.split("@media(prefers-color-scheme:dark)")[:2]
    for name in set(re.findall(r"var\(--(\w+)\)", english)):
        assert f"--{name}:" in light and f"--{name}:" in dark[: dark.index("}}")]
    assert not re.search(r"#[0-9a-f]{6}", english.replace(style, "").split("<details>")[0])


@pytest.mark.slow
def test_equal_data_give_equal_bytes(english: str, finished: RunFolder) -> None:
    assert write_report(finished).read_text(encoding="utf-8") == english


def test_the_top_says_what_came_out(english: str) -> None:
    words = Page(english).words
    for told in (
        "said 40 times which one is better", "PPO", "Service dialogues: what the language model learned",
        "The model got better: it wins on 75% of 16 held-out prompts", "95% interval 60–90%", "25% ties",
        "0.50 → 0.80", "5.50", "nats of KL per answer",
    ):  # fmt: skip
        assert told in words, told
    assert "Over-optimisation:" not in words


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("wins", "told"),
    [
        ((0.75, 0.6, 0.9), "The model got better"),
        ((0.3, 0.2, 0.4), "The model got worse: it wins on only 30%"),
        ((0.55, 0.4, 0.7), "No clear change: it wins on 55%"),
    ],
)
def test_the_verdict_follows_the_interval(
    tmp_path: Path, wins: tuple[float, float, float], told: str
) -> None:
    assert told in written_page(make(tmp_path / "run", Made(wins=wins))).words


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("gold", "told"), [(FALLING, "it wins on 100%"), (None, "by the learned reward it wins")]
)
def test_a_few_prompts_are_no_verdict(tmp_path: Path, gold: tuple[float, ...] | None, told: str) -> None:
    folder = make(tmp_path / "run", Made(gold=gold, wins=(1.0, 0.74, 1.0)))
    manifest = json.loads(folder.manifest.read_text())
    for prompts, few in ((9, True), (10, False)):
        manifest["result"]["win_prompts"] = prompts
        folder.manifest.write_text(json.dumps(manifest))
        words = written_page(folder).words
        assert ("Too few prompts for a verdict, which takes 10: " + told in words) == few
        assert ("The model got better" in words or "Training worked" in words) != few
        run = data.read(folder)
        said = text.summary(run, text.speaking(run, Texts("en"))).verdict
        assert said.startswith("too few prompts to say" if few else "better")


@pytest.mark.usefixtures("quick")
def test_over_optimisation_is_said_where_the_truth_falls_and_the_reward_rises(tmp_path: Path) -> None:
    words = written_page(make(tmp_path / "gamed", GAMED)).words
    assert "Over-optimisation is seen: since update 4 the gold reward has fallen from 0.67 to 0.45" in words
    assert "the learned reward rose from 0.77 to 1.70" in words
    assert "Over-optimisation: the learned reward went on rising" in words


@pytest.mark.usefixtures("quick")
def test_over_optimisation_is_not_said_where_both_rise_or_both_fall(tmp_path: Path, english: str) -> None:
    both_fall = written_page(make(tmp_path / "broken", Made(gold=FALLING, proxy=FALLING))).words
    noisy = written_page(make(tmp_path / "noisy", Made(gold=FALLING, std=2.0))).words
    for words in (Page(english).words, both_fall, noisy):
        assert "No over-optimisation is seen" in words
        assert "Over-optimisation is seen" not in words and "Over-optimisation:" not in words


@pytest.mark.usefixtures("quick")
def test_drift_is_said_aloud_only_where_there_is_some(tmp_path: Path, english: str) -> None:
    words = written_page(make(tmp_path / "gamed", GAMED)).words
    assert "Answers have grown from 20.0 to 60.0 tokens" in words
    assert "50% of the answers are cut off by now (0% at the start)" in words
    assert "30% of what is said by now repeats itself (1% at the start)" in words
    short = written_page(make(tmp_path / "short", Made(tokens=(20, 18, 16, 14, 12, 10, 8)))).words
    assert "Answers have shrunk from 20.0 to 8.00 tokens" in short
    calm = Page(english).words
    assert "Neither length nor repetition has drifted much" in calm
    assert "have grown" not in calm and "cut off by now" not in calm


@pytest.mark.slow
def test_a_kept_model_is_named_and_marked(tmp_path: Path) -> None:
    words = written_page(make(tmp_path / "stopped", STOPPED)).words
    assert "Held-out judgements chose the model of update 4 (of 12)" in words
    assert "the model that was kept is from before that" in words and "Over-optimisation: the" not in words
    assert "○ kept: update 4" in words
    assert "held-out judgements won" in words and "a simulated person compared 10 fresh answers" in words
    assert "0.50 → 0.70" in words  # of the kept model, not of the last one
    assert "1.30" in words


@pytest.mark.usefixtures("quick")
def test_where_the_start_was_kept_it_is_said(tmp_path: Path) -> None:
    words = written_page(make(tmp_path / "none", replace(STOPPED, kept=0, wins=(0.5, 0.49, 0.51)))).words
    assert "Held-out judgements found none of 12 updates clearly better than the start" in words
    assert "No clear change: it wins on 50%" in words and "0.50 → 0.50" in words


@pytest.mark.usefixtures("quick")
def test_without_a_gold_reward_nothing_claims_to_know(tmp_path: Path) -> None:
    page = written_page(make(tmp_path / "real", Made(gold=None)))
    before = page.words.split("Settings, versions")[0]
    assert "there is no gold reward" in before and "praises its own work" in before
    assert "Training worked: by the learned reward it wins on 75%" in before
    assert "The model got better" not in before
    assert "does not show that people like the answers" in before
    assert "0.00 → 1.80" in before
    assert "Whether the reward is being gamed cannot be said" in before
    assert "gold reward 0" not in before and "wants what the gold reward wants" not in before
    assert page.tags["svg"] == 6


@pytest.mark.usefixtures("quick")
def test_a_reward_that_nobody_taught_is_not_called_learned(tmp_path: Path) -> None:
    folder = make(tmp_path / "given", replace(GAMED, wins=(0.3, 0.2, 0.4)))
    config = yaml.safe_load(folder.config.read_text())
    config["reward"] = {"weights": {"brief": 1.0, "learned": 0.0}, "functions": {"brief": "rewards.py:brief"}}
    config["feedback"] = {"labels": 0}
    folder.config.write_text(yaml.safe_dump(config))
    rows = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    kept = [{k: v for k, v in row.items() if not k.startswith(("feedback", "reward/"))} for row in rows]
    folder.metrics.write_text("".join(json.dumps(row) + "\n" for row in kept))
    words = written_page(folder).words.split("Settings, versions")[0]
    assert "nobody was asked anything" in words and "brief 1" in words
    assert "while the reward it is trained on rose" in words
    assert "foresee answers" not in words
    left = words.replace("Each token shows by how much it moves the learned reward", "")
    assert "learned reward" not in left


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_held_out_judgements_stand_in_for_a_gold_reward(tmp_path: Path) -> None:
    fallen = Made(gold=None, watched=(0.9, 0.9, 0.2, 0.0), kept=12)
    words = written_page(make(tmp_path / "fallen", fallen)).words
    assert "the share of held-out judgements won has fallen" in words
    # the last check: none of ten; Wilson's interval of 0 of 10 is 0 to 28 %
    assert "In 10 held-out judgements of this model" in words and "in 0% (95% interval 0–28%" in words
    assert "people like the answers less and less" in words
    risen = written_page(make(tmp_path / "risen", replace(fallen, watched=(0.5, 0.6, 0.8, 0.9)))).words
    assert "No over-optimisation is seen: the share of held-out judgements" in risen


def test_tokens_show_what_they_add(english: str) -> None:
    # adds of `It is here.` are +0.1, -0.2, +0.3 and -0.4 for the end; the 95 % quantile over all answers is 0.4
    assert '<span class="up1" title="+0.10">It</span><span class="down2" title="−0.20"> is</span>' in english
    assert (
        '<span class="up2" title="+0.30"> here.</span><span class="end down3" title="−0.40">end</span>'
        in english
    )
    assert english.count('class="sample"') == 6
    for name in ("up1", "up2", "up3", "down1", "down2", "down3"):
        assert f".{name}" in english[: english.index("</style>")]
    style = english[: english.index("</style>")]
    assert "underline solid" in style and "underline dotted" in style  # not by colour alone


@pytest.mark.usefixtures("quick")
def test_answers_without_numbers_are_plain(tmp_path: Path) -> None:
    folder = make(tmp_path / "plain")
    rows = json.loads((folder.path / "samples.json").read_text())
    for row in rows:
        for side in ("before", "after", "best"):
            row[side].pop("adds")
    del rows[0]["best"]
    (folder.path / "samples.json").write_text(json.dumps(rows))
    page = written_page(folder)
    assert "It is here." in page.words and "title=" not in folder.report.read_text().split("<details>")[0]
    assert "lowers the reward" not in page.words


@pytest.mark.usefixtures("quick")
def test_text_of_people_and_models_is_text(tmp_path: Path) -> None:
    folder = make(tmp_path / "hostile")
    rows = json.loads((folder.path / "samples.json").read_text())
    rows[0]["prompt"] = HOSTILE
    tokens = [HOSTILE[:9], HOSTILE[9:30], HOSTILE[30:], '"><b>', "\ud800"]
    rows[0]["after"] |= {"text": "".join(tokens), "tokens": tokens, "adds": [0.1] * 5}
    rows[1]["best"] = {"text": HOSTILE, "proxy": 1.0}
    (folder.path / "samples.json").write_text(json.dumps(rows))
    config = folder.config.read_text().replace("prompts: service", "prompts: '<script>x</script>.jsonl'")
    folder.config.write_text(config + "# </pre><script>\n")
    folder.write_manifest({"notes": ["<script>note</script>"]})
    for language in ("en", "zh"):
        page = written_page(folder, language)
        assert page.tags["script"] == page.tags["img"] == 0
        assert all(link.startswith("#") for link in page.links)
        assert "<script>alert(1)</script>" in page.words and "<script>note</script>" in page.words
        assert "\u0000" not in page.words and "␀" in page.words


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("status", ["running", "stopped", "failed"])
def test_an_interrupted_run_shows_what_there_is(tmp_path: Path, status: str) -> None:
    folder = make(tmp_path / "cut")
    manifest = folder.read_manifest() | {"status": status, "error": "the policy has diverged"}
    manifest.pop("result")
    folder.manifest.write_text(json.dumps(manifest))
    (folder.path / "samples.json").unlink()
    lines = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(lines[:7]) + '{"update": 8, "deci')
    page = written_page(folder)
    assert "did not get far enough" in page.words
    assert ("the policy has diverged" if status == "failed" else "plaudit resume") in page.words
    assert "0.50 → 0.65" in page.words and "2.10" in page.words  # evaluations after 0 and 6 updates
    assert "Read for yourself" not in page.words
    assert page.tags["svg"] == 6  # all but the answers one by one


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_run_at_its_very_beginning(tmp_path: Path, kept: int) -> None:
    folder = make(tmp_path / "early")
    folder.manifest.write_text(json.dumps({"status": "running", "seed": 3}))
    (folder.path / "samples.json").unlink()
    lines = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(lines[:kept]))
    words = written_page(folder).words
    assert "what the language model learned" in words
    assert ("Nothing has been measured yet" in words) == (kept == 0)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("config.yaml", "config.yaml"),
        ("metrics.jsonl", "The model got better"),
        ("manifest.json", "manifest.json"),
        ("feedback.db", "The model got better"),
        ("samples.json", "The model got better"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, gone: str, told: str) -> None:
    folder = make(tmp_path / "part")
    (folder.path / gone).unlink()
    assert told in written_page(folder).words


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("samples.json", "{"),
        ("samples.json", '{"a": 1}'),
        ("manifest.json", "[]"),
        ("config.yaml", "[{{"),
        ("metrics.jsonl", "[1]\n"),
        ("feedback.db", "no database"),
    ],
)
def test_what_is_damaged_is_told(tmp_path: Path, name: str, content: str) -> None:
    folder = make(tmp_path / "damaged")
    for leftover in folder.path.glob("feedback.db-*"):
        leftover.unlink()
    (folder.path / name).write_text(content)
    words = written_page(folder).words
    assert "Left out" in words and name in words


@pytest.mark.usefixtures("quick")
def test_no_reference_means_no_kl(tmp_path: Path) -> None:
    words = written_page(make(tmp_path / "free", Made(kl=None))).words
    assert "How far the model moved was not measured" in words
    assert "nats of KL" not in words and "best of 8 answers of the untrained" not in words


@pytest.mark.slow
def test_chinese_has_the_same_parts(finished: RunFolder, english: str, tmp_path: Path) -> None:
    page, chinese = Page(english), written_page(make(tmp_path / "zh"), "zh")
    assert chinese.tags == page.tags
    shown = chinese.words.split("设置、版本")[0]
    shown = re.sub(r"(Customer|Clerk|No idea|It|Here|where)[^。]*?(?=[。一-龥]|$)", "", shown)
    for word in ("score", "reward", "gold", "tokens", "update", "answers", "people", "learned"):
        assert word in page.words.lower()
        assert word not in shown.lower(), word


def test_names_and_numbers_are_those_of_the_run() -> None:
    """The report has them again, because it loads no models."""
    assert (data.SAMPLES, sections.DRAWS) == (written.NAME, written.DRAWS)
    assert text.SERVICE == SERVICE


@pytest.mark.slow
def test_neither_environments_nor_models_are_needed(tmp_path: Path) -> None:
    folder = make(tmp_path / "run", STOPPED)
    script = """
import sys
for name in ("gymnasium", "mujoco", "Box2D", "transformers", "tokenizers", "peft"):
    sys.modules[name] = None  # importing it fails
from pathlib import Path
from plaudit.report import write_joint_report, write_report, write_seeds_report
from plaudit.runs.folder import RunFolder
folder = RunFolder.open(Path(sys.argv[1]))
write_report(folder)
write_joint_report([folder], folder.path / "joint.html")
write_seeds_report([folder], folder.path / "seeds.html")
"""
    done = subprocess.run([sys.executable, "-c", script, str(folder.path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "what the language model learned" in folder.report.read_text(encoding="utf-8")
