"""Names of the first version, read by today's."""

from plaudit.runs.old_names import METRICS, renamed


def test_rows_of_the_first_version_by_hand() -> None:
    control = {"update": 3, "decisions": 600, "reward/fresh_accuracy": 0.8, "eval/return_mean": -1.0}
    assert list(renamed(control).items()) == [
        ("update", 3),
        ("timesteps", 600),
        ("reward/held_out_accuracy", 0.8),
        ("eval/return_mean", -1.0),
    ]
    language = {
        "decisions": 160,
        "rollout/answer_tokens": 20.5,
        "eval/hidden_mean": 0.5,
        "eval/proxy_mean": 1.0,
    }
    assert renamed(language) == {
        "tokens": 160,
        "rollout/answer_tokens": 20.5,
        "eval/gold_reward_mean": 0.5,
        "eval/proxy_reward_mean": 1.0,
    }
    result = {"hidden_mean": 0.5, "hidden_std": 0.1, "win_by": "hidden score", "before": {"hidden_mean": 0.4}}
    assert renamed(result) == {
        "gold_reward_mean": 0.5,
        "gold_reward_std": 0.1,
        "win_by": "gold reward",
        "before": {"hidden_mean": 0.4},  # not entered
    }
    assert renamed({"win_by": "learned reward"}) == {"win_by": "learned reward"}


def test_todays_rows_are_left_as_they_are() -> None:
    row = {new: place for place, new in enumerate(METRICS.values())} | {"tokens": 1, "win_by": "gold reward"}
    assert renamed(row) == row
    assert renamed({}) == {}


def test_todays_name_wins_where_a_row_has_both() -> None:
    assert renamed({"hidden_mean": 1.0, "gold_reward_mean": 2.0}) == {"gold_reward_mean": 2.0}
    assert renamed({"gold_reward_mean": 2.0, "hidden_mean": 1.0}) == {"gold_reward_mean": 2.0}


def test_no_name_is_old_and_new_at_once() -> None:
    assert not METRICS.keys() & set(METRICS.values())
    assert len(set(METRICS.values())) == len(METRICS)
