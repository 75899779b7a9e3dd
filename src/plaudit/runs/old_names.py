"""Names that run folders of the first version have, and today's: old folders are read with these in hand.

Only whoever reads a folder translates; everything else knows today's names alone.
"""

from collections.abc import Mapping
from typing import Any

METRICS: dict[str, str] = {
    "reward/fresh_accuracy": "reward/held_out_accuracy",
    "reward/fresh_nll": "reward/held_out_nll",
    "reward/fresh_probabilities": "reward/held_out_probabilities",
    "reward/fresh_answers": "reward/held_out_answers",
    "watch/fresh_accuracy": "watch/held_out_accuracy",
    "watch/fresh_nll": "watch/held_out_nll",
    "watch/fresh_probabilities": "watch/held_out_probabilities",
    "watch/fresh_answers": "watch/held_out_answers",
    "start/hidden_mean": "start/gold_reward_mean",
    "start/hidden_std": "start/gold_reward_std",
    "start/proxy_mean": "start/proxy_reward_mean",
    "eval/hidden_mean": "eval/gold_reward_mean",
    "eval/hidden_std": "eval/gold_reward_std",
    "eval/proxy_mean": "eval/proxy_reward_mean",
    "hidden_mean": "gold_reward_mean",
    "hidden_std": "gold_reward_std",
    "proxy_mean": "proxy_reward_mean",
    "hidden": "gold_reward",
    "proxy": "proxy_reward",
    "decisions": "timesteps",
}
"""Fields of a row of metrics.jsonl, of a run's result (and of what it holds under `before` and `scores`), of a sample's
answer, and of config.yaml."""
TOKENS = "rollout/answer_tokens"
"""A row of the first version that has this field is of a language model: its decisions were tokens."""
VALUES: dict[str, dict[str, str]] = {"win_by": {"hidden score": "gold reward"}}
"""Values that were called otherwise, by today's name of their field."""


def renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row by today's names, in its order; what it holds by such a name already is left as it is.

    Mappings inside it are not entered: names of people's own rewards may stand there.
    """
    found: dict[str, Any] = {}
    for name, value in row.items():
        new = "tokens" if name == "decisions" and TOKENS in row else METRICS.get(name, name)
        if new != name and new in row:
            continue
        known = VALUES.get(new, {})
        found[new] = known.get(value, value) if isinstance(value, str) else value
    return found
