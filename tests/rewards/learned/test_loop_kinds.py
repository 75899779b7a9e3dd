"""The loop with several kinds of questions: their shares, what is held out, who was asked again."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from plaudit.batches import Rewards
from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Feedback, Ranking, Rating
from plaudit.rewards.config import FeedbackConfig
from plaudit.rewards.learned.fit import Config as FitConfig
from plaudit.rewards.learned.loop import FeedbackLoop, FeedbackSession, Wanted
from plaudit.rewards.learned.terms import Judgement
from plaudit.rewards.learned.trainer import LearnedConfig, RewardTrainer
from plaudit.storage import Artifacts
from plaudit.storage.memory import MemoryStore
from plaudit.storage.store import Commands, NewQuery, NewResponse, Query
from tests.rewards.learned.test_fit import SegmentOptions

COLUMNS = {"comparison": 2, "ranking": 3, "rating": 1, "binary": 1}


class Numbers:
    """A `RewardMedium`: an option is the name of a number, and its reward a weight times that number."""

    folds = 3
    usual_rate = 0.05

    def __init__(self) -> None:
        self.model = nn.Linear(1, 1, bias=True)
        nn.init.zeros_(self.model.weight)
        nn.init.zeros_(self.model.bias)

    def tensors(self, rows: Sequence[Judgement]) -> SegmentOptions:
        most = max(len(one.options) for one in rows)
        numbers = [
            [[[float(option)]] for option in one.options] + [[[0.0]]] * (most - len(one.options))
            for one in rows
        ]
        features = torch.tensor(numbers)
        mask = torch.ones(features.shape[:3], dtype=torch.bool)
        return SegmentOptions(features, mask, torch.zeros_like(mask))

    def prepare(self, terms: Any) -> None:
        pass

    def subsample(self, options: Any, generator: Any) -> None:
        return None

    def returns(self, options: SegmentOptions, subsample: Any = None) -> torch.Tensor:
        return self.model(options.features)[..., 0, 0][None]

    def state_dict(self) -> dict[str, Any]:
        return dict(self.model.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state)


class Draws:
    """What to ask: numbers from -2 to 2 that differ."""

    def __init__(self, medium: Numbers):
        self.medium, self.generator, self.notes = medium, np.random.default_rng(0), set[str]()

    def ask(self, behaviour: Any, wanted: Sequence[Wanted], tick: int) -> list[NewQuery]:
        found = []
        for one in wanted:
            items = self.generator.choice(np.arange(-200, 200), COLUMNS[one.kind], replace=False) / 100
            payload = {"scale": {"criterion": "overall", "low": 1, "high": 5}} if one.kind == "rating" else {}
            found.append(
                NewQuery(one.key, one.kind, tuple(map(str, items)), tick, payload, purpose=one.purpose)
            )
        return found

    def normalise(self, behaviour: Any, refitted: bool) -> None:
        pass

    def heard(self, standing: Any) -> None:
        pass

    def exploring(self, behaviour: Any) -> Rewards:
        return Rewards(torch.zeros(0), taught=False)

    def rewards(self, behaviour: Any) -> Rewards:
        return Rewards(torch.zeros(0))

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def loop(tmp_path: Path, **feedback: Any) -> FeedbackLoop:
    store, medium = MemoryStore(), Numbers()
    session = FeedbackSession(
        store, Artifacts(tmp_path), Commands(store), lambda item: np.array([float(item)])
    )
    config = LearnedConfig(fit=FitConfig(learning_rate=0.05, weight_decay=0.0, first_steps=60, steps=40))
    trainer = RewardTrainer(medium, config, torch.Generator().manual_seed(0))
    settings = FeedbackConfig(**{"people": (), "ahead": 1000} | feedback)
    return FeedbackLoop(session, settings, trainer, Draws(medium))


def honest(query: Query) -> Feedback:
    """What somebody says who likes large numbers."""
    worth = [float(item) for item in query.items]
    if query.kind == "comparison":
        return Comparison((query.items[0], query.items[1]), "first" if worth[0] > worth[1] else "second")
    if query.kind == "ranking":
        return Ranking(query.items, tuple((i,) for i in sorted(range(3), key=lambda i: -worth[i])))
    if query.kind == "rating":
        return Rating(query.items[0], "overall", round(3 + worth[0]), 1, 5)
    return Binary(query.items[0], worth[0] > 0)


def answer_all(one: FeedbackLoop, say: Any = honest, name: str = "ann") -> int:
    """Answer what waits; how many that was."""
    store, count = one.session.store, 0
    while (query := store.claim(name, 60.0)) is not None:
        order = query.shown_order
        shown = SimpleNamespace(kind=query.kind, items=tuple(query.items[i] for i in order))
        store.submit(NewResponse(f"{name}-{query.id}", query.id, name, say(shown), order))
        count += 1
    return count


def step(one: FeedbackLoop, progress: float, say: Any = honest) -> dict[str, Any]:
    """What one update makes of it: questions are asked, somebody answers, and it learns."""
    one.session.commands.obey = lambda: answer_all(one, say)  # type: ignore[method-assign,assignment]
    return one.observe(None, progress)


ALL = {"comparison": 2.0, "rating": 1.0, "ranking": 1.0, "binary": 0.0}


def test_kinds_are_asked_in_their_shares_at_every_moment(tmp_path: Path) -> None:
    one = loop(tmp_path, labels=40, first=17, rounds=4, kinds=ALL)
    for progress in (0.0, 0.2, 0.3, 0.4, 0.5):
        step(one, progress)
        asked = [query.kind for query in one.session.store.queries()]
        for kind, share in ALL.items():
            assert abs(asked.count(kind) - len(asked) * share / 4) <= 1
    assert len(asked) == 40 and "binary" not in asked
    assert one.state_dict()["by_kind"] == {"comparison": 20, "rating": 10, "ranking": 10}


@pytest.mark.parametrize("kind", ["comparison", "ranking", "rating", "binary"])
@pytest.mark.slow
def test_any_kind_alone_teaches_the_reward(tmp_path: Path, kind: str) -> None:
    one = loop(tmp_path, labels=30, first=30, rounds=0, kinds={kind: 1.0}, ahead=0)
    metrics = step(one, 0.0)
    assert metrics["feedback/refitted"] == 1 and metrics["feedback/labels"] == 30
    assert metrics["feedback/learned_from"] == 30 and metrics["reward/accuracy"] > 0.85
    assert float(one.trainer.medium.model.weight.detach()) > 0.5


@pytest.mark.slow
def test_all_kinds_together_are_forecast_before_they_are_learned(tmp_path: Path) -> None:
    one = loop(tmp_path, labels=40, first=20, rounds=1, until=0.5, kinds=dict.fromkeys(COLUMNS, 1.0), ahead=0)
    first = step(one, 0.0)
    assert "reward/held_out_accuracy" not in first  # nothing was known to forecast with
    second = step(one, 0.5)
    for name in ("held_out_accuracy", "held_out_ranking_accuracy", "held_out_rating_accuracy"):
        assert second[f"reward/{name}"] > 0.7
    assert len(second["reward/held_out_probabilities"]) == len(second["reward/held_out_answers"]) == 5
    assert one.fits == 2 and second["feedback/labels"] == 40


def test_answers_that_are_held_out_are_never_learned_from(tmp_path: Path) -> None:
    """They say the opposite, and nothing changes but what is said of the reward."""
    found = []
    for lie in (False, True):
        one = loop(tmp_path / str(lie), labels=40, first=40, rounds=0, held_out=0.25, ahead=0)

        def say(query: Any, one: FeedbackLoop = one, lie: bool = lie) -> Feedback:
            purposes = {q.items: q.purpose for q in one.session.store.queries()}
            purpose = purposes.get(query.items) or purposes[query.items[::-1]]
            said = honest(query)
            assert isinstance(said, Comparison)
            if lie and purpose == "held_out":
                return Comparison(said.options, "second" if said.answer == "first" else "first")
            return said

        metrics = step(one, 0.0, say)
        purposes = [query.purpose for query in one.session.store.queries()]
        assert purposes.count("held_out") == 10 and metrics["feedback/learned_from"] == 30
        assert metrics["feedback/labels"] == 30
        found.append(
            (one.trainer.medium.model.weight.detach().clone(), metrics["reward/calibration_accuracy"])
        )
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == 1 and found[1][1] == 0


def test_who_is_asked_again_shows_how_steady_they_are(tmp_path: Path) -> None:
    """Three are answered alike, in whatever order they were shown, and one is not: consistency 3 / 4."""
    one = loop(tmp_path, labels=8, first=8, rounds=0, ahead=0)
    assert "people/consistency" not in step(one, 0.0)
    store = one.session.store
    first = [query for query in store.queries()][:4]
    again = [
        NewQuery(f"again/{query.id}", query.kind, query.items[::-1], 1, {}, purpose="repeat")
        for query in first
    ]
    store.enqueue(again)
    other = frozenset(first[0].items)

    def unsteady(query: Any) -> Feedback:
        said = honest(query)
        assert isinstance(said, Comparison)
        if frozenset(query.items) == other:
            return Comparison(said.options, "second" if said.answer == "first" else "first")
        return said

    weight = one.trainer.medium.model.weight.detach().clone()
    metrics = step(one, 0.1, unsteady) if not answer_all(one, unsteady) else one.observe(None, 0.1)
    assert metrics["people/consistency"] == pytest.approx(3 / 4)
    assert one.fits == 1 and torch.equal(one.trainer.medium.model.weight, weight)  # nothing new was learned
    assert metrics["feedback/labels"] == 8


def test_people_who_say_nothing_that_teaches_are_told(tmp_path: Path) -> None:
    one = loop(tmp_path, labels=4, first=4, rounds=0, kinds={"binary": 1.0}, ahead=0)
    with pytest.raises(PlauditError, match="no answer says which of two options is better"):
        step(one, 1.0, lambda query: Binary(query.items[0], True))


def test_a_saved_loop_goes_on_with_its_kinds(tmp_path: Path) -> None:
    one = loop(tmp_path, labels=20, first=5, rounds=3, kinds=ALL, ahead=0)
    step(one, 0.0)
    other = loop(tmp_path, labels=20, first=5, rounds=3, kinds=ALL, ahead=0)
    other.session = one.session
    other.load_state_dict(one.state_dict())
    assert other.state_dict()["by_kind"] == one.state_dict()["by_kind"]
    assert torch.equal(other.trainer.medium.model.weight, one.trainer.medium.model.weight)
    assert [w.kind for w in other._wanted(6)] == [w.kind for w in one._wanted(6)]
