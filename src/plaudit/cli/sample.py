"""plaudit sample MODEL (--prompt TEXT | --prompts FILE | --service N): let a language model answer prompts.

MODEL: a folder in the transformers layout, a run folder, or a hub id.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from plaudit.cli import arguments
from plaudit.errors import PlauditError

PROMPT = "--prompt: not UTF-8 text; write it in UTF-8, or give a file with --prompts"


def main(argv: Sequence[str]) -> int:
    """Answer some prompts."""
    from plaudit.readers.texts import TextPrompt, read_text_prompts
    from plaudit.stages.adapters.prompts import generated
    from plaudit.stages.generate import GenerateConfig, Generator

    if not argv or argv[0].startswith("-"):
        print(
            f"usage: plaudit sample MODEL (--prompt TEXT | --prompts FILE | --service N) [--FIELD VALUE]\n\n{__doc__}"
        )
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    rest = [item for item in argv[1:] if item != "--json"]
    text, rest = arguments.take(rest, "prompt")
    file, rest = arguments.take(rest, "prompts")
    service, rest = arguments.take(rest, "service")
    config = arguments.parse(GenerateConfig, rest, "sample", str(__doc__))
    if sum(given is not None for given in (text, file, service)) != 1:
        raise PlauditError("sample: give one of --prompt TEXT, --prompts FILE and --service N")
    if text is not None:
        asked = [TextPrompt(arguments.sound(text, PROMPT), {}, "--prompt")]
    elif file is not None:
        asked = read_text_prompts(Path(file))
    else:
        asked = generated(arguments.whole(service, "service"), config.seed, True)
    torch.set_num_threads(1)
    answers = Generator(argv[0], config).answers(asked)
    for prompt, completion in zip(answers.prompts, answers.completions, strict=True):
        if "--json" in argv:
            print(json.dumps({"prompt": prompt, "completion": completion}, ensure_ascii=False))
        else:
            print(f"{prompt}\n  -> {completion.strip()}\n")
    return 0
