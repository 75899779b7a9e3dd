"""Log-probabilities and entropies of chosen tokens, without ever holding [B, T, V].

Logits are made from hidden states a few rows at a time; for the gradient their probabilities are kept where they are
few, else made again. So memory is bounded whatever the vocabulary. Temperature and nucleus belong to the policy: the
sampler and every log-probability see the same ones (Holtzman et al. 2020, arXiv:1904.09751, section 3.1, for the
nucleus).
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedConfig, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from plaudit.models.language.config import Shaping

NAME = "plaudit"
"""By what transformers knows it."""


def install(model: PreTrainedModel) -> None:
    """Let a transformers model that uses torch's fused attention use this one; saved configs do not show it."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)


def kept_as(config: PreTrainedConfig, states: Tensor) -> torch.dtype:
    """The precision in which keys or values are best kept, so that none is turned into it again at every step."""
    return torch.float32 if config._attn_implementation == NAME and _slow(states) else states.dtype


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **how: Any
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


ELEMENTS = 2**20
"""Logits made at once: 4 MiB in single precision, which a cache still holds."""
ROWS = 128
"""Rows whose logits are made at once at least, however large the vocabulary: the weights are read for each piece."""
KEPT = 2**23
"""Probabilities kept for the gradient at most: 32 MiB in single precision."""


@dataclass(frozen=True)
class Head:
    """The last layer of a language model: logits = hidden weight^T + bias."""

    weight: Float[Tensor, "V H"]
    bias: Float[Tensor, "V"] | None = None

    def logits(self, hidden: Float[Tensor, "N H"]) -> Float[Tensor, "N V"]:
        """Raw logits in single precision, or in double where the hidden states are."""
        kind = self.weight.device.type
        if torch.is_autocast_enabled(kind):
            hidden = hidden.to(torch.get_autocast_dtype(kind))
        out = hidden @ self.weight.to(hidden.dtype).T
        out = out if self.bias is None else out + self.bias
        return out if out.dtype == torch.float64 else out.float()

    def ready(self) -> "Head":
        """The same head with its weight in the precision of the products, for whoever makes logits many times."""
        kind = self.weight.device.type
        if not torch.is_autocast_enabled(kind):
            return self
        return Head(self.weight.to(torch.get_autocast_dtype(kind)), self.bias)


def selected(
    head: Head, hidden: Float[Tensor, "N H"], chosen: Int[Tensor, "N"], shaping: Shaping
) -> tuple[Float[Tensor, "N"], Float[Tensor, "N"]]:
    """log pi(chosen) and the entropy of pi, in nats, differentiable in `hidden` and the head.

    A token outside the nucleus (a later policy may leave the token of an earlier one out) is kept for its own
    row, so that its log-probability stays finite.
    """
    return _Selected.apply(hidden, head.weight, head.bias, chosen, shaping)  # type: ignore[no-any-return]


def shaped(
    logits: Float[Tensor, "N V"], shaping: Shaping, keep: Int[Tensor, "N"] | None = None
) -> Float[Tensor, "N V"]:
    """Logits over the temperature; -inf outside the nucleus, except for the token to keep."""
    logits = _cooled(logits, shaping)
    if shaping.top_p >= 1:
        return logits
    ordered = logits.sort(dim=-1, descending=True).values
    before = ordered.softmax(dim=-1).cumsum(dim=-1).roll(1, dims=-1)
    before[:, 0] = 0.0
    # by value, not by place: tokens of equal probability stay or go together
    least = ordered.masked_fill(before >= shaping.top_p, torch.inf).min(dim=-1, keepdim=True).values
    outside = logits < least
    if keep is not None:
        outside.scatter_(1, keep[:, None], False)
    return logits.masked_fill(outside, -torch.inf)


class _Selected(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, chosen: Tensor, shaping: Shaping
    ) -> tuple[Tensor, Tensor]:
        head, pieces = Head(weight, bias).ready(), _pieces(len(hidden), len(weight))
        keeping = any(ctx.needs_input_grad) and len(hidden) * len(weight) <= KEPT
        logp, entropy, kept = [], [], []
        for rows in pieces:
            log_p = shaped(head.logits(hidden[rows]), shaping, chosen[rows]).log_softmax(dim=-1)
            p = log_p.exp()
            logp.append(log_p.gather(1, chosen[rows, None]).squeeze(1))
            entropy.append(_entropy(log_p, p))
            if keeping:
                kept.append(p)
        ctx.save_for_backward(hidden, weight, bias, chosen, *kept)
        ctx.shaping, ctx.autocast = shaping, _autocast(hidden)
        ctx.set_materialize_grads(
            False
        )  # where no loss wants the entropy, its gradient is None and costs nothing
        if not logp:
            nothing = head.logits(hidden).sum(dim=-1)
            return nothing, nothing.clone()
        return torch.cat(logp), torch.cat(entropy)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, chosen, *kept = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: what was kept knows no graph
            kept = []
        wanted = ctx.needs_input_grad
        to_hidden = torch.empty_like(hidden) if wanted[0] else None
        to_weight = torch.zeros_like(weight) if wanted[1] else None
        to_bias = torch.zeros_like(bias) if bias is not None and wanted[2] else None
        kind, dtype, enabled = ctx.autocast
        with torch.autocast(kind, dtype=dtype, enabled=enabled):
            head = Head(weight, bias).ready()
            for i, rows in enumerate(_pieces(len(hidden), len(weight))):
                if kept:
                    p = kept[i]
                else:
                    p = shaped(head.logits(hidden[rows]), ctx.shaping, chosen[rows]).softmax(dim=-1)
                to_logits = _to_logits(p, chosen[rows], *(None if g is None else g[rows] for g in gradients))
                to_logits = _cooled(to_logits, ctx.shaping).to(dtype if enabled else hidden.dtype)
                if to_hidden is not None:
                    to_hidden[rows] = (to_logits @ head.weight.to(to_logits.dtype)).to(hidden.dtype)
                if to_weight is not None:
                    to_weight += to_logits.T @ hidden[rows].to(to_logits.dtype)
                if to_bias is not None:
                    to_bias += to_logits.sum(dim=0)
        return to_hidden, to_weight, to_bias, None, None


def _to_logits(p: Tensor, chosen: Tensor, of_logp: Tensor | None, of_entropy: Tensor | None) -> Tensor:
    """d(logp)/d(logits) = onehot - p and d(H)/d(logits) = -p (log p + H), each times what comes from above."""
    gradient = torch.zeros_like(p) if of_logp is None else p * -of_logp[:, None]
    if of_logp is not None:
        gradient.scatter_add_(1, chosen[:, None], of_logp[:, None])
    if of_entropy is not None:
        log_p = p.log().clamp_(min=torch.finfo(p.dtype).min)  # outside the nucleus p is 0
        gradient -= of_entropy[:, None] * p * (log_p + _entropy(log_p, p)[:, None])
    return gradient


def _entropy(log_p: Tensor, p: Tensor) -> Tensor:
    """-sum_v p_v log p_v; where p is 0 it adds nothing."""
    with torch.autocast(p.device.type, enabled=False):  # which would round both to half precision
        return -torch.linalg.vecdot(p, log_p.clamp(min=torch.finfo(p.dtype).min))


def _cooled(tensor: Tensor, shaping: Shaping) -> Tensor:
    return tensor if shaping.temperature == 1 else tensor / shaping.temperature


def _pieces(rows: int, vocabulary: int) -> list[slice]:
    step = max(ROWS, ELEMENTS // vocabulary)
    return [slice(first, first + step) for first in range(0, rows, step)]


def _autocast(tensor: Tensor) -> tuple[str, torch.dtype, bool]:
    kind = tensor.device.type
    return kind, torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
