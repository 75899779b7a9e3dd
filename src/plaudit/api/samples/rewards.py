"""A reward of your own for texts: short answers are better.

--set reward.functions.short=rewards.py:short --set reward.weights.short=1
"""


def short(prompts: list[str], completions: list[str], **columns: object) -> list[float]:
    """Minus a hundredth for every letter."""
    return [-len(text) / 100 for text in completions]
