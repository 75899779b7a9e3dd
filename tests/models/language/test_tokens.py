import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.models.language import tokens


def test_answers_by_hand() -> None:
    record = tokens.answers([[5, 6, 7], [8]], [[1, 0], [2, 3, 4]])
    assert record.ids.tolist() == [[5, 6, 7, 1, 0], [8, 2, 3, 4, 0]]
    assert record.lengths.tolist() == [5, 4]
    assert record.decisions.tolist() == [[3, 4, 0], [1, 2, 3]]


def test_1_masks_come_from_lengths_so_that_an_end_token_that_also_pads_is_a_decision() -> None:
    end = 0  # the very number that padding holds
    record = tokens.answers([[end, 5], [7]], [[6, end], [9]])
    assert record.mask.tolist() == [[True, True], [True, False]]
    said = record.ids.gather(1, record.decisions)
    assert said[0].tolist() == [6, end] and said[1, 0] == 9


def test_9_prompt_tokens_are_no_decisions_and_the_end_is_one() -> None:
    record = tokens.answers([[5, 6], [7, 8, 9]], [[4, 1], [3, 2, 1]])
    for row, prompt, said in zip(range(2), (2, 3), ([4, 1], [3, 2, 1]), strict=True):
        columns = record.decisions[row][record.mask[row]].tolist()
        assert columns == list(range(prompt, prompt + len(said)))
        assert record.ids[row, columns].tolist() == said


def test_whole_texts_learn_all_but_the_first_token() -> None:
    record = tokens.whole([[5, 6, 7], [8]])
    assert record.decisions.tolist() == [[1, 2], [0, 0]]
    assert record.mask.tolist() == [[True, True], [False, False]]


def test_a_dialogue_has_decisions_in_several_places() -> None:
    record = tokens.record([[1, 2, 3, 4, 5, 6]], [[1, 4, 5]])
    assert record.ids.gather(1, record.decisions).tolist() == [[2, 5, 6]]


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(PlauditError, match="prompt 2 is empty"):
        tokens.answers([[1], []], [[2], [3]])


def test_texts_longer_than_the_model_reads_are_refused() -> None:
    with pytest.raises(PlauditError, match="a text of 9 tokens is longer than the 8"):
        tokens.refuse_longer(torch.tensor([3, 9]), 8)
    tokens.refuse_longer(torch.tensor([3, 8]), 8)
    tokens.refuse_longer(torch.tensor([3, 9]), None)
    tokens.refuse_longer(torch.tensor([], dtype=torch.long), 8)


def test_rows_of_like_length_are_read_together_by_hand() -> None:
    # 10, 20 and 40 as wide as 50 are padded by 40 + 30 + 10 = 80 in all; 100 as well would add 4 times 50
    lengths = torch.tensor([100, 20, 50, 10, 40, 140])
    assert [rows.tolist() for rows in tokens.alike(lengths, 64)] == [[3, 1, 4, 2], [0, 5]]
    assert [rows.tolist() for rows in tokens.alike(lengths, 3)] == [[3, 1, 4], [2, 0], [5]]


@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=40), most=st.integers(1, 9))
def test_parts_hold_every_row_once_little_padding_and_all_they_can(sizes: list[int], most: int) -> None:
    parts = [rows.tolist() for rows in tokens.alike(torch.tensor(sizes), most)]
    found = [row for rows in parts for row in rows]
    assert found == sorted(range(len(sizes)), key=lambda row: sizes[row])  # stable, as Python's sort

    def fits(rows: list[int]) -> bool:
        widest = max(sizes[row] for row in rows)
        return len(rows) <= most and sum(widest - sizes[row] for row in rows) <= tokens.PADDED

    assert all(fits(rows) for rows in parts)
    assert not any(fits([*rows, following[0]]) for rows, following in zip(parts, parts[1:], strict=False))
