"""What a config says where nobody has said anything, by medium and kind of learner; one place for both."""

from typing import Any

CONTROL: dict[str, Any] = {
    "timesteps": 100_000,
    "reward": {
        "weights": {"environment": 1.0, "learned": 0.0},
        "likelihood": {"scale": 0.1},
        "normalise": True,
    },
}
LANGUAGE: dict[str, Any] = {
    "updates": 50,
    "reward": {
        "weights": {"learned": 1.0},
        "fit": {
            "weight_decay": 0.01,
            "first_steps": 150,
            "steps": 20,
            "minibatch_size": 32,
            "schedule": "linear",
            "max_grad_norm": 1.0,
        },
    },
    "feedback": {"first": 400, "rounds": 5, "until": 0.6},
    "evaluate_every": 5,
    "evaluate_count": 100,
}
TRAINERS: dict[tuple[str, str], dict[str, Any]] = {
    ("language", "on_policy"): {
        "learning_rate": 3e-4,
        "epochs": 4,
        "minibatch_size": 16,
        "max_grad_norm": 1.0,
    },
    ("language", "preference"): {
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "epochs": 2,
        "minibatch_size": 16,
        "schedule": "linear",
        "warmup": 10,
        "max_grad_norm": 1.0,
        "log_every": 10,
    },
    ("control", "preference"): {"epochs": 10, "max_grad_norm": 0.5},
    ("language", "evolution"): {"learning_rate": 1e-3},
}


def defaults(medium: str, kind: str) -> dict[str, Any]:
    """A mapping that given values go over.

    Evolution compares fitness within a generation, so its scale does not matter; neither it nor pairs ask a critic.
    """
    usual = CONTROL if medium == "control" else LANGUAGE
    found = {name: dict(value) if isinstance(value, dict) else value for name, value in usual.items()}
    found["trainer"] = TRAINERS.get((medium, kind), {})
    if kind == "evolution" and medium == "control":
        found["reward"] |= {"normalise": False}
    if kind in ("evolution", "preference"):
        found["policy"] = {"critic": False if medium == "control" else "none"}
    return found
