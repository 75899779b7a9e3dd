"""Answers side by side, by hand."""

import pytest

from plaudit.report import sections


@pytest.mark.slow
def test_samples_are_summed_by_hand(words: str) -> None:
    # multiples 0 to 5 have the mean 2.5
    assert "Mean gold reward of these 6: 0.25 before, 1.25 after, 0.75 best of 8." in words
    assert "Mean learned reward of these 6: −0.50 before, 1.50 after, 2.25 best of 8." in words
    assert "gold reward 2.50 · learned reward 3.00" in words  # the last prompt, after


def test_pieces_keep_every_number() -> None:
    answer = {"text": "a b�", "tokens": ["a", "", " b", "�<|end|>"], "adds": [0.1, 0.2, 0.3, 0.4]}
    P = sections.Piece
    assert sections.pieces(answer) == [
        P("a", 0.1),
        P(" b", pytest.approx(0.5)),  # pyright: ignore
        P("�", 0.4),
        P("<|end|>", None, end=True),
    ]
    assert sections.pieces({"text": "a"}) == [P("a", None)]
    short = {"text": "ab", "tokens": ["a", "b"], "adds": [0.1]}
    assert sections.pieces(short) == [P("a", None), P("b", None)]
    cut = {"text": "ab", "tokens": ["a", "b"], "adds": [0.1, float("nan")]}
    assert sections.pieces(cut) == [P("a", None), P("b", None)]


@pytest.mark.parametrize(
    ("adds", "level"), [(0, 0), (0.19, 0), (-0.21, 1), (0.59, 1), (0.61, 2), (-1.01, 3), (1.2, 3), (9, 3)]
)
def test_levels_are_thirds_of_the_strongest(adds: float, level: int) -> None:
    assert sections.level(adds, 1.2) == level
    assert sections.level(adds, 0.0) == 0
