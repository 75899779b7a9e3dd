"""Frozen tensors with shapes: what the formulas see."""

from plaudit.batches.demonstrations import Demonstrations
from plaudit.batches.episodes import Episodes, Loss, Rewards, Rollout, Scores
from plaudit.batches.judgements import Comparisons, Judgements, Rankings, Ratings
from plaudit.batches.needs import Needs
from plaudit.batches.pairs import Pairs

__all__ = [
    "Comparisons",
    "Demonstrations",
    "Episodes",
    "Judgements",
    "Loss",
    "Needs",
    "Pairs",
    "Rankings",
    "Ratings",
    "Rewards",
    "Rollout",
    "Scores",
]
