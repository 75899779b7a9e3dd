"""What the price of KL took off a reward, by the names people know."""


def priced(metrics: dict[str, float], price: float) -> dict[str, float]:
    """What the price of KL took off the reward, and what was left to optimise, per answer."""
    if "objective/kl_per_answer" not in metrics:
        return {}
    taken = -price * metrics["objective/kl_per_answer"]
    return {
        "objective/non_score_reward": taken,
        "objective/rlhf_reward": metrics["objective/reward"] + taken,
    }
