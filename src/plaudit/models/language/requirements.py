"""What a causal language model must be like to be a policy here, found out on five tokens when it becomes one."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from plaudit.errors import PlauditError
from plaudit.models.language.generation import ahead, left_padded, new_cache, positions
from plaudit.models.language.interfaces import Trunk

CLOSE = 1e-3
"""Hidden states that ought to be the same differ by at most this share of the largest one."""


def without_dropout(model: nn.Module) -> None:
    """Set every dropout rate of a model to 0, in place, so that `train()` cannot bring it back; its config stays."""
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if (name == "p" and isinstance(module, nn.modules.dropout._DropoutNd)) or (
                "drop" in name and isinstance(value, float)
            ):
                setattr(module, name, 0.0)


@torch.no_grad()
def check(lm: PreTrainedModel) -> None:
    """Raise PlauditError unless log-probabilities and answers can be read from this model in the way plaudit does.

    Its logits are a linear layer of its last hidden state, which does not look to the right; a cache and padding at
    the left change nothing.
    """
    name, device = type(lm).__name__, next(lm.parameters()).device
    if lm.get_output_embeddings() is None:
        raise PlauditError(f"{name}: has no output layer; give a causal language model")
    first: Any = lm.get_input_embeddings()
    entries = first.weight.shape[0]
    ids = torch.arange(5, device=device)[None] % entries
    try:
        trunk: Any = lm.base_model
        hidden = trunk(input_ids=ids, use_cache=False).last_hidden_state
        shorter = trunk(input_ids=ids[:, :3], use_cache=False).last_hidden_state
        linear = _is_linear(lm, ids, hidden)
        stepped = linear and _stepped(trunk, ids)
    except (TypeError, AttributeError, ValueError, IndexError) as error:
        why = " ".join(str(error).split())[:200]
        raise PlauditError(f"{name}: cannot be asked as plaudit asks ({why}); give another model") from None
    if not linear:
        raise PlauditError(
            f"{name}: its logits are not a linear layer of its last hidden state (they are scaled, capped or come from "
            "more layers), which plaudit cannot read; give another model"
        )
    if not _close(shorter, hidden[:, :3]):
        raise PlauditError(f"{name}: a token sees what follows it; give a causal language model")
    if not _close(stepped, hidden[:, 3:]):
        raise PlauditError(
            f"{name}: it goes on differently with a cache or with padding at the left, so its answers would not be "
            "drawn from the policy that is trained; give another model"
        )


def _is_linear(lm: PreTrainedModel, ids: Tensor, hidden: Tensor) -> bool:
    """Does the output layer get the hidden states, and do its results come out as they are, large ones too?"""
    seen: list[Tensor] = []

    def replace(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
        seen.append(given[0])
        return torch.linspace(-100, 100, out.shape[-1], dtype=out.dtype, device=out.device).expand_as(out)

    last: Any = lm.get_output_embeddings()
    hook = last.register_forward_hook(replace)
    try:
        logits = lm(input_ids=ids, use_cache=False).logits
    finally:
        hook.remove()
    expected = torch.linspace(-100, 100, logits.shape[-1], device=logits.device)
    return len(seen) == 1 and _close(seen[0], hidden) and _close(logits.float(), expected.expand_as(logits))


def _stepped(trunk: Trunk, ids: Tensor) -> Tensor:
    """The hidden states of the last two tokens, read one by one after a padded beginning."""
    padded, attended = left_padded([ids[0, :3].tolist()] * 2 + [ids[0].tolist()], ids.device)
    attended = nn.functional.pad(attended, (0, 2), value=True)
    columns, place, cache = padded.shape[1], positions(attended), new_cache(trunk, padded.shape[1] + 2)
    ahead(trunk, padded, attended[:, :columns], place[:, :columns], cache)
    rows = torch.tensor([0, 1], device=ids.device)
    cache.batch_select_indices(rows)
    found = []
    for i in range(2):
        stop = columns + i + 1
        step = ids[:, 3 + i, None].expand(2, 1)
        found.append(ahead(trunk, step, attended[:2, :stop], place[:2, columns + i, None], cache)[:1])
    return torch.cat(found, dim=1)


def _close(one: "Tensor | bool", other: Tensor) -> bool:
    return (
        isinstance(one, Tensor)
        and one.shape == other.shape
        and float((one.float() - other.float()).abs().max()) <= CLOSE * float(other.abs().max())
    )
