"""Frozen tensors with shapes: what the formulas see."""

from plaudit.batches.demonstrations import Demonstrations
from plaudit.batches.episodes import Episodes, Loss, Rollout, Scores
from plaudit.batches.judgements import Comparisons, Judgements, Rankings, Ratings

__all__ = [
    "Comparisons",
    "Demonstrations",
    "Episodes",
    "Judgements",
    "Loss",
    "Rankings",
    "Ratings",
    "Rollout",
    "Scores",
]
