"""Models that only answer."""

from pathlib import Path

from plaudit.models.language import loading
from plaudit.models.language.logprobs import Shaping
from plaudit.pipeline import optimise
from plaudit.pipeline.language.answering import AnswerConfig, Speaker
from tests.pipeline.language.world import World, quiet


def test_a_policy_answers_with_the_temperature_it_learned_with(world: World, tmp_path: Path) -> None:
    """With another one it is another policy than the one that was evaluated."""
    config = world.config(updates=1, policy={"shaping": {"temperature": 0.7, "top_p": 0.95}})
    run = optimise.start(config, tmp_path / "run", quiet).path
    assert Speaker(str(run), AnswerConfig()).policy.config.shaping == Shaping(0.7, 0.95)
    assert Speaker(str(run), AnswerConfig(shaping=Shaping())).policy.config.shaping == Shaping()
    assert loading.shaping_of(loading.load(str(world.lm))[0]) == Shaping()
    assert Speaker(str(world.lm), AnswerConfig()).policy.config.shaping == Shaping()
