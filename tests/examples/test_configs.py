"""Every example config loads, and so does every row of the learning benchmark; its table is right."""

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import control, preferences
from plaudit.errors import Renamed
from plaudit.runs import algorithms, config, settings
from plaudit.stages import demo, optimise

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads_without_a_note_and_says_what_it_is(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", Renamed)
        made = config.load(path)
    assert path.read_text(encoding="utf-8").startswith("# ")
    assert made.timesteps >= 20_000


def test_every_algorithm_for_behaviour_has_an_example():
    """By its own name, or on Pendulum, Acrobot and the like for ppo."""
    told = {config.load(path).algorithm for path in EXAMPLES}
    assert told >= {*algorithms.names("on_policy"), *algorithms.names("evolution")}
    assert any(config.load(path).reward.discriminator == "gail" for path in EXAMPLES)


@pytest.mark.parametrize("name", ["rloo", "grpo", "trpo", "es"])
@pytest.mark.slow
def test_an_example_runs(name, tmp_path):
    made = config.load(EXAMPLES[0].with_name(f"{name}_cartpole.yaml"))
    run = optimise.start(replace(made, timesteps=5000, evaluate_count=2), tmp_path / "run", lambda row: None)
    assert run.read_manifest()["result"]["return_mean"] > 5


def test_the_one_for_people_is_the_demo_that_asks_you():
    (path,) = (path for path in EXAMPLES if path.stem == "pendulum_people")
    assert config.load(path) == demo.control_with_me(0)


def test_the_back_flip_for_people_is_the_example_without_its_judge():
    (path,) = (path for path in EXAMPLES if path.stem == "backflip")
    mapping = settings.load_yaml(path)
    del mapping["feedback"]["judge"], mapping["reward"]["functions"], mapping["reward"]["weights"]["flip"]
    mapping["feedback"] |= {"first": 20, "ahead": 3, "patience": 60, "people": []}
    assert config.from_mapping(mapping, "here") == demo.control_with_me(0, "backflip")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_that_asks_people_says_what_to_judge_by(path):
    asked = config.load(path).feedback
    assert asked.question is not None or not asked.labels


@pytest.mark.parametrize("case", control.CASES, ids=lambda case: case.name)
def test_a_row_differs_from_its_example_by_its_changes_alone(case):
    mapping = settings.load_yaml(control.EXAMPLES / f"{case.example}.yaml")
    made = settings.dump(config.from_mapping(control.merged(mapping, case.changes), case.name))
    plain = settings.dump(config.from_mapping(mapping, case.name))
    assert {key for key in plain if made[key] != plain[key]} == set(case.changes)


def test_merging_keeps_what_is_not_named():
    old = {"a": {"b": 1, "c": [2]}, "d": 3}
    assert control.merged(old, {"a": {"c": [4]}, "e": 5}) == {"a": {"b": 1, "c": [4]}, "d": 3, "e": 5}
    assert old == {"a": {"b": 1, "c": [2]}, "d": 3}


def test_the_table_by_hand():
    """Returns 480, 490, 500: mean 490, spread 10, t(2) = 4.3027, half width 4.3027 * 10 / sqrt(3) = 24.8."""
    runs = [
        {"environment": "CartPole-v1", "algorithm": "PPO", "return": value, "labels": 0, "steps": 100_000,
         "cpu_seconds": seconds}
        for value, seconds in ((480.0, 1.0), (490.0, 2.0), (500.0, 6.0))
    ]  # fmt: skip
    (row,) = [
        line
        for line in control.table({"cartpole": {"date": "D", "runs": runs}}).splitlines()
        if "CartPole" in line
    ]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["CartPole-v1", "PPO", "the environment's reward", "100,000"]
    assert cells[4:9] == ["480, 490, 500", "490.0", "465.2 to 514.8", "480.0", "3.0"]
    assert cells[9:] == ["every seed >= 475: yes", "", "D"]


def test_a_missed_requirement_is_shouted():
    case = control.Case("x", "cartpole", "", 475, "worst")
    assert control._verdict(case, 490.0, 474.9) == "every seed >= 475: NO"
    assert control._verdict(control.Case("x", "cartpole", "", -200), -199.0, -300.0) == "mean >= -200: yes"


@pytest.mark.parametrize("task", preferences.TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("column", preferences.COLUMNS, ids=lambda column: column.name)
def test_a_row_of_the_board_is_its_example_but_for_what_its_column_says(task, column):
    plain = settings.dump(config.load(task.example))
    made = settings.dump(
        config.from_mapping(preferences.mapping(preferences.Run(task.name, column.name, 0)), "here")
    )
    differ = {key for key in plain if made[key] != plain[key]}
    wanted = {"comparisons": set(), "reward": {"feedback", "reward"}}.get(column.name, {"feedback"})
    assert differ == wanted and (plain["timesteps"], plain["seed"]) == (made["timesteps"], 0)
    learned = made["reward"]["weights"].get("learned")
    assert (learned == 1) == (column.name != "reward") and bool(made["feedback"]["labels"]) == bool(learned)


def test_the_board_by_hand():
    """1,600 and 2,000 from comparisons, 2,000 and 2,500 by the reward: 1,800 of 2,250 is .8."""

    def run(seed, value, seconds, told=None):
        return {
            "seed": seed, "return": value, "before": 20.0, "labels": 700 if told else 0, "informative": told,
            "rested": 0.25, "steps": 409_600, "cpu_seconds": seconds, "commit": "abc", "date": "D",
        }  # fmt: skip

    runs, own = (
        [run(0, 1600.0, 130, 0.9), run(1, 2000.0, 150, 0.69)],
        [run(0, 2000.0, 95), run(1, 2500.0, 105)],
    )
    (row,) = (line for line in preferences.table({"hopper": {"comparisons": runs, "reward": own}}).splitlines()
              if "Hopper" in line)  # fmt: skip
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:4] == ["Hopper-v5", "700", "409,600", "1600, 2000"]
    assert cells[4:8] == ["1800 (-741 to 4341)", "1600", "2000, 2500", "2250 (-927 to 5427)"]
    assert cells[8].startswith("80% (") and cells[9:12] == ["69%", "140", "1.40"]
    assert cells[12:] == ["pairs that differ >= 70%: NO; share >= 80%: yes", "abc"]
