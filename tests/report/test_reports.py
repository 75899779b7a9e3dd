"""One page about several runs."""

import re
from pathlib import Path

import pytest

from plaudit.errors import PlauditError
from plaudit.report import write_joint_report, write_report
from plaudit.runs.folder import RunFolder
from tests.report.made_language_run import FALLING, WATCHED, Made, aged, make
from tests.report.pages import Page


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.slow
def test_both_halves_stand_on_one_page(both: list[RunFolder], tmp_path: Path, language: str) -> None:
    path = write_joint_report(both, tmp_path / "both.html", language)  # pyright: ignore
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags["h1"] == 1 and page.tags["article"] == 2 and page.tags["nav"] == 1
    assert page.tags["h2"] == 3  # the summary and the halves; everything else is below them
    assert len(set(page.ids)) == len(page.ids)
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert {"summary", "run-1", "run-2"} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    for part in (write_report(folder, language) for folder in both):  # pyright: ignore
        alone = Page(part.read_text(encoding="utf-8"))
        assert alone.tags["svg"] and alone.tags["section"]
        page.tags -= alone.tags
    assert page.tags["svg"] == 0 and page.tags["section"] == 1  # the summary


def test_the_summary_has_the_numbers_of_both(both: list[RunFolder], tmp_path: Path) -> None:
    words = Page(write_joint_report(both, tmp_path / "both.html").read_text(encoding="utf-8")).words
    assert "In reinforcement learning from human feedback (RLHF)" in words
    assert "Only the behaviour differs" in words
    assert "Pendulum-v1, PPO30true return–not finished" in words
    assert "Service dialogues, PPO40gold reward0.50 → 0.80better (wins 75%, 95% interval 60–90%)" in words
    assert words.count("Control · Pendulum-v1: what was learned") == 2  # the contents and the heading
    assert words.count("Language · Service dialogues: what the language model learned") == 2


@pytest.mark.slow
def test_the_same_run_twice_shares_no_id(both: list[RunFolder], tmp_path: Path) -> None:
    path = write_joint_report([both[1], both[1]], tmp_path / "twice.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert len(set(page.ids)) == len(page.ids)
    assert "Only the behaviour differs" not in page.words


def test_a_joint_page_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="at least one run"):
        write_joint_report([], tmp_path / "none.html")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.slow
def test_a_folder_of_the_first_version_gives_the_same_page(tmp_path: Path, language: str) -> None:
    """All but the settings, which are shown as config.yaml has them."""
    folder = make(tmp_path / "run", Made(FALLING, kept=4, watched=WATCHED))
    today = write_report(folder, language).read_text(encoding="utf-8")  # pyright: ignore
    first = write_report(aged(folder), language).read_text(encoding="utf-8")  # pyright: ignore
    new, old = (page.partition("<pre>") for page in (today, first))
    assert old[0] == new[0]
    assert "hidden: rubric" in old[2] and "gold_reward: rubric" in new[2]


@pytest.mark.slow
def test_simulated_people_are_called_so_and_real_ones_people(tmp_path: Path) -> None:
    simulated = Page(write_report(make(tmp_path / "one")).read_text(encoding="utf-8")).words
    for told in (
        "to a simulated person, who said 40",
        "answers of a simulated person",
        "What a simulated person said",
    ):
        assert told in simulated
    assert "people" not in simulated.split("Settings, versions")[0].lower().replace("simulated people", "")
    real = Page(write_report(make(tmp_path / "real", Made(gold=None))).read_text(encoding="utf-8")).words
    assert "shown to people, who said 40" in real and "simulated" not in real
    both = make(tmp_path / "two")
    both.config.write_text(
        both.config.read_text().replace("- mistake: 0.1", "- mistake: 0.1\n  - mistake: 0.2")
    )
    assert "shown to 2 simulated people" in Page(write_report(both).read_text(encoding="utf-8")).words
