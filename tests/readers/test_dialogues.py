"""Plain dialogues as turns."""

import gzip
import json
from pathlib import Path

import pytest

from plaudit.readers.dialogues import is_dialogue, turns_of


def told(text: str) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in turns_of(text)]


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("\n\nHuman: Hi\n\nAssistant:", [("user", "Hi")]),
        ("\n\nHuman: Hi\n\nAssistant: Yes?\n\nHuman: Why?\n\nAssistant:", [("user", "Hi"), ("assistant", "Yes?"), ("user", "Why?")]),
        ("Human: Hi\n\nand there\n\nAssistant: Yes", [("user", "Hi\n\nand there"), ("assistant", "Yes")]),
        (" Yes.\n\nHuman: So?\n\nAssistant: No.", [("assistant", "Yes."), ("user", "So?"), ("assistant", "No.")]),
        (" Yes, Human: no", [("assistant", "Yes, Human: no")]),
        ("\n\nHuman:\n\nAssistant: What?", [("user", ""), ("assistant", "What?")]),
        ("\n\nAssistant:", []),
        ("", []),
    ],
    ids=repr,
)  # fmt: skip
def test_turns(text: str, turns: list[tuple[str, str]]) -> None:
    assert told(text) == turns


def test_what_is_a_dialogue() -> None:
    assert is_dialogue("\n\nHuman: a") and is_dialogue("Assistant: a")
    assert not is_dialogue("An essay.\n\nHuman: a") and not is_dialogue("") and not is_dialogue("Humans: a")


def test_real_dialogues_are_put_together_again(shared_data: Path) -> None:
    """Cut another way: by the names at the beginnings of lines."""
    with gzip.open(shared_data / "text_pairs" / "hh_pairs.jsonl.gz", "rt", encoding="utf-8") as lines:
        prompts = [json.loads(line)["prompt"] for line in list(lines)[:500]]
    for prompt in prompts:
        assert is_dialogue(prompt)
        names = {"user": "Human", "assistant": "Assistant"}
        again = "".join(f"\n\n{names[role]}: {content}" for role, content in told(prompt))
        assert "".join(again.split()) + "Assistant:" == "".join(prompt.split())
