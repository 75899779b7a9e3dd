"""Attention in single precision where a processor computes in half precision.

torch's fused kernel for processors is slower in half precision than in single, twice with its gradient and several
times with one query row, and less exact. Everything around it stays in half precision.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "plaudit"
"""By what transformers knows it."""


def install(model: Any) -> None:
    """Let a transformers model that uses torch's fused attention use this one; saved configs do not show it."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)


def kept_as(config: Any, states: Tensor) -> torch.dtype:
    """The precision in which keys or values are best kept, so that none is turned into it again at every step."""
    return torch.float32 if config._attn_implementation == NAME and _slow(states) else states.dtype


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **how: Any
) -> tuple[Tensor, None]:
    """What transformers calls: attended values [B, L, heads, width of a head] in the precision of the query."""
    if not _slow(query):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **how)
    if attention_mask is not None and attention_mask.is_floating_point():
        attention_mask = attention_mask.float()
    with torch.autocast("cpu", enabled=False):
        attended, weights = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), attention_mask, **how
        )
    return attended.to(query.dtype), weights


def _slow(tensor: Tensor) -> bool:
    return tensor.device.type == "cpu" and tensor.dtype in (torch.bfloat16, torch.float16)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
