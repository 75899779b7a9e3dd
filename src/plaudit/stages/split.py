"""What is learned from and what is held out, where nobody has divided it: rows with the same prompt stay together."""

import json
from collections.abc import Sequence

import torch

from plaudit.readers.texts import Text


def divided(prompts: Sequence[Text], share: float, seed: int) -> tuple[list[int], list[int]]:
    """The places of the rows to learn from and of those held out, both in an order drawn from the seed.

    `share` of the different prompts, at least one, is held out.
    """
    keys = [prompt if isinstance(prompt, str) else json.dumps(prompt, sort_keys=True) for prompt in prompts]
    different = list(dict.fromkeys(keys))
    order = torch.randperm(len(different), generator=torch.Generator().manual_seed(seed)).tolist()
    kept = max(1, round(share * len(different)))
    rank = {different[i]: place for place, i in enumerate(order)}
    places = sorted(range(len(keys)), key=lambda i: rank[keys[i]])
    return [i for i in places if rank[keys[i]] >= kept], [i for i in places if rank[keys[i]] < kept]
