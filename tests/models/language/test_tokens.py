import pytest
import torch

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
