"""Checkpoints written by the version before, as this one reads them."""

from typing import Any

from plaudit.runs.config import RunConfig


def as_it_is(tree: dict[str, Any], config: RunConfig) -> dict[str, Any]:
    """A checkpoint's tree in today's shape; one that has it is left alone."""
    if "learner" in tree:
        return tree
    spent = tree["decisions"] if config.medium == "control" else tree["updates"]
    collecting = dict(tree.get("control") or tree.get("language") or {})
    scale = collecting.pop("reward_scale", None)
    parts: dict[str, Any] = {name: {} for name in _parts(config)}
    if tree.get("preferences") is not None and "learned" in parts and config.feedback.labels:
        parts["learned"] = _feedback(tree["preferences"], config, tree["updates"])
    rewards = {**scale, "source": parts} if scale else parts
    updater = {name: tree[name] for name in ("policy", "optimiser", "generator", "updates", "decisions")}
    updater["kl_coef"] = tree.get("kl_price")
    learner = {"updater": updater, "rollouts": collecting, "rewards": rewards, "spent": spent}
    task = {
        "notes": tree["notes"],
        "early_stopping": tree.get("watcher"),
        "stopped": tree.get("stopped", False),
    }
    return {"learner": learner, "task": task}


def _parts(config: RunConfig) -> list[str]:
    reward = config.reward
    own = [name for name in ("environment", "learned") if reward.weights.get(name)]
    if config.medium == "language":
        own = ["learned"] if "learned" in reward.weights else []
    return [*own, *reward.functions]


def _feedback(old: dict[str, Any], config: RunConfig, updates: int) -> dict[str, Any]:
    learner = old["learner"]
    if config.medium == "control":
        medium = learner["model"]
        questions = {"generator": learner["generator"], "taught": learner["fitted"], "notes": []}
    else:
        medium = {name: learner[name] for name in ("model", "offset", "scale")}
        questions = {name: learner[name] for name in ("drawing", "queue", "base")}
    trainer = {
        "medium": medium,
        "optimiser": learner["optimiser"],
        "generator": learner["generator"],
        "people": None,
        "fits": old["fits"],
    }
    counts = {name: old[name] for name in ("asked", "cursor", "labels", "owed")}
    asked = {"comparison": old["labels"]}
    return counts | {"ticks": updates, "by_kind": asked, "trainer": trainer, "questions": questions}
