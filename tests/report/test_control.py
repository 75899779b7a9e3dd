"""The page of a control run: complete, closed in itself, the same for equal data, and there even when data are not."""

import json
import re
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from plaudit.environments.control import rendering
from plaudit.errors import PlauditError
from plaudit.report import control, data, rollouts, write_report
from plaudit.report.data import AnswerCounts
from plaudit.runs.folder import RunFolder
from tests.report.pages import Page


@pytest.fixture(scope="module")
def english(asked: RunFolder) -> str:
    """The page of `asked`, with real clips."""
    path = write_report(asked)
    assert path == asked.report
    return path.read_text(encoding="utf-8")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips of twelve flat pictures, for tests that look elsewhere: drawing is most of the work."""
    shades = np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((12, 32, 32, 3), dtype=np.uint8)
    monkeypatch.setattr(rendering, "frames", lambda replay, size: shades * 20)


def copied(folder: RunFolder, path: Path) -> RunFolder:
    shutil.copytree(folder.path, path)
    return RunFolder.open(path)


@pytest.mark.slow
def test_the_page_is_whole_and_fetches_nothing(english: str) -> None:
    text, page = english, Page(english)
    assert page.tags["svg"] == 5
    assert page.tags["img"] == 2
    assert page.tags["script"] == 0
    assert "http" not in text.split("<details>")[0]
    assert all(link.startswith(("data:image/webp;base64,", "#")) for link in page.links)
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert "60" in page.words and "simulated-0" in page.words
    assert "nan" not in re.findall(r"\w+", page.words.split("Settings, versions")[0].lower())


def test_colours_have_names_that_both_grounds_define(english: str) -> None:
    text = english
    style = text[text.index("<style>") : text.index("</style>")]
    light, dark = style.split("@media(prefers-color-scheme:dark)")[:2]
    dark = dark[: dark.index("}}")]
    for name in set(re.findall(r"var\(--(\w+)\)", text)):
        assert f"--{name}:" in light and f"--{name}:" in dark
    assert not re.search(r"#[0-9a-f]{6}", text.replace(style, "").split("<details>")[0])


@pytest.mark.slow
def test_equal_data_give_equal_bytes(asked: RunFolder, english: str, tmp_path: Path) -> None:
    assert write_report(copied(asked, tmp_path / "again")).read_text(encoding="utf-8") == english


def test_clips_move_and_are_small(english: str) -> None:
    pictures = [link for link in Page(english).links if link.startswith("data:")]
    for link in pictures:
        content = b64decode(link.partition(",")[2])
        assert len(content) <= rollouts.LARGEST
        assert getattr(Image.open(BytesIO(content)), "n_frames", 1) > 10


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_chinese_has_the_same_parts(asked: RunFolder, english: str, tmp_path: Path) -> None:
    text = write_report(copied(asked, tmp_path / "zh"), "zh").read_text(encoding="utf-8")
    page, chinese = Page(english), Page(text)
    assert '<html lang="zh-Hans">' in text
    assert chinese.tags == page.tags
    for word in ("true return", "answers", "reward model"):
        assert word in page.words.lower()
        assert word not in chinese.words.lower().split("platform")[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reward": {"weights": {"environment": 0, "discriminator": 1}, "discriminator": "gail"}},
         "A discriminator (GAIL) learned to tell demonstrated behaviour from the policy's, and PPO trained"),
        ({"reward": {"weights": {"environment": 0, "slow": 0.5, "near": 1}}},
         "PPO trained the policy on a reward that is a sum with these weights: near 1, slow 0.5."),
        ({"reward": {"weights": {"learned": 1}, "start": "x"}}, "on a reward model that had been learned earlier"),
        ({"algorithm": "dpo", "pairs": "pairs.npz"}, "DPO trained the policy on pairs of a file"),
        ({}, "PPO trained the policy on the environment's own reward; nobody was asked anything."),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_the_lead_says_what_was_learned_from(
    plain: RunFolder, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    folder = copied(plain, tmp_path / "run")
    folder.config.write_text(yaml.safe_dump(yaml.safe_load(folder.config.read_text()) | changes))
    words = Page(write_report(folder).read_text(encoding="utf-8")).words
    assert said in words and ("own reward; nobody" in words) == (not changes)


@pytest.mark.usefixtures("quick")
def test_plain_rl_has_no_part_about_people(plain: RunFolder) -> None:
    page = Page(write_report(plain).read_text(encoding="utf-8"))
    assert page.tags["svg"] == 1
    before = page.words.split("Settings, versions")[0]
    for word in ("answers", "People", "reward model", "calibration", "Brier"):
        assert word not in before


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_a_killed_run_is_shown_from_its_checkpoint(asked: RunFolder, tmp_path: Path) -> None:
    folder = copied(asked, tmp_path / "killed")
    shutil.rmtree(folder.path / "policy")
    shutil.rmtree(folder.path / "reward")
    manifest = folder.read_manifest() | {"status": "running"}
    manifest.pop("result")
    folder.manifest.write_text(json.dumps(manifest))
    with folder.metrics.open("a") as file:
        file.write('{"update": 99, "deci')
    page = Page(write_report(folder).read_text(encoding="utf-8"))
    assert "plaudit resume" in page.words
    assert page.tags["svg"] == 5
    assert page.tags["img"] == 2


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (["policy-start"], "policy-start"),
        (["config.yaml"], "config.yaml"),
        (["metrics.jsonl"], "No episode has ended"),
        (["feedback.db", "artifacts"], "Pairs of short clips were shown to 2 simulated people"),
        (["policy", "reward", "checkpoints"], "before its first checkpoint"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_what_is_missing_is_told(asked: RunFolder, tmp_path: Path, gone: list[str], told: str) -> None:
    folder = copied(asked, tmp_path / "part")
    for name in gone:
        path = folder.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert told in Page(write_report(folder).read_text(encoding="utf-8")).words


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["manifest.json", "config.yaml", "metrics.jsonl", "feedback.db"])
@pytest.mark.slow
def test_what_is_damaged_is_told(asked: RunFolder, tmp_path: Path, name: str) -> None:
    folder = copied(asked, tmp_path / "damaged")
    (folder.path / name).write_text("[{{ nothing\nat: all ]\n")
    for leftover in ("feedback.db-wal", "feedback.db-shm"):
        (folder.path / leftover).unlink(missing_ok=True)
    words = Page(write_report(folder).read_text(encoding="utf-8")).words
    assert "Left out" in words
    assert name in words


@pytest.mark.usefixtures("quick")
def test_an_empty_folder_still_gives_a_page(tmp_path: Path) -> None:
    words = Page(write_report(RunFolder(tmp_path)).read_text(encoding="utf-8")).words
    assert "did not get far enough" in words


@pytest.mark.slow
def test_where_nothing_can_be_drawn_the_page_says_why(
    plain: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(*_: Any) -> None:
        raise PlauditError("Pendulum-v1 cannot be drawn <here>")

    monkeypatch.setattr(rendering, "frames", blind)
    page = Page(write_report(copied(plain, tmp_path / "blind")).read_text(encoding="utf-8"))
    assert "No clips here: Pendulum-v1 cannot be drawn <here>" in page.words
    assert page.tags["img"] == 0


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_people_may_want_something_else_than_the_task_pays(
    asked: RunFolder, english: str, tmp_path: Path, quick: None
) -> None:
    """Where real people answered, the page does not tell them that they were wrong."""
    folder = copied(asked, tmp_path / "run")
    settings = yaml.safe_load(folder.config.read_text(encoding="utf-8"))
    settings["feedback"]["people"] = []
    folder.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    said = Page(write_report(folder).read_text(encoding="utf-8")).words
    assert "need not be what they wanted" in said and "simulated person" not in said
    assert "need not be what they wanted" not in Page(english).words


@pytest.mark.slow
def test_names_of_people_are_text(asked: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = {"<script>alert(1)</script>": AnswerCounts({"first": 1}), "b": AnswerCounts({"skip": 2})}
    monkeypatch.setattr(data, "answers", lambda folder: evil)
    page = Page(write_report(copied(asked, tmp_path / "evil")).read_text(encoding="utf-8"))
    assert page.tags["script"] == 0
    assert "<script>alert(1)</script>" in page.words


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_a_failed_run_says_why(plain: RunFolder, tmp_path: Path) -> None:
    folder = copied(plain, tmp_path / "failed")
    folder.write_manifest({"status": "failed", "error": "the policy has diverged"})
    assert "This run failed: the policy has diverged" in Page(write_report(folder).read_text()).words


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("drawn", "verdict", "said"),
    [
        ((23.0, 30.0), "differs", "By drawn actions, as it acts while it learns, it got better: 23.0 → 30.0"),
        ((40.0, 30.0), "worse", None),
        ((30.0, 30.0), "worse", "there is no clear change: 30.0 → 30.0"),
        (None, "worse", None),
    ],
)
def test_before_and_after_are_compared_like_for_like(
    plain: RunFolder, tmp_path: Path, drawn: tuple[float, float] | None, verdict: str, said: str | None
) -> None:
    """An untrained policy's likeliest action happened to balance: 214 -> 33; drawn actions say what was learned."""
    folder = copied(plain, tmp_path / "run")
    sides = [{"return_mean": mean, "return_std": 2.0, "episodes": 50} for mean in (214.0, 33.0)]
    for side, mean in zip(sides, drawn or (), strict=False):
        side |= {"return_mean_drawn": mean, "return_std_drawn": 2.0}
    folder.write_manifest({"result": sides[1] | {"before": sides[0]}})
    run = data.read(folder)
    assert control.verdict(run, rollouts.recorded(run)) == verdict
    words = Page(write_report(folder).read_text(encoding="utf-8")).words
    assert "got worse: by its most likely actions, before and after, its true return fell by 181" in words
    assert (said in words) if said else ("By drawn actions" not in words)
