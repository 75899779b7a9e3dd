"""The sections that every run has."""

import re


def test_what_people_said_is_counted(words: str) -> None:
    assert "2 of these answers only check" in words
    table = re.search(r"chose left(.*?)everyone(.*?)Settings", words, re.DOTALL)
    assert table is not None
    # ann: second, skip, first, first; bob: first; shown in the order of the options
    assert table[1] == "ann421167% (21–94%)bob1100100% (21–100%)"
    assert table[2].split("%")[0] == "531175"
