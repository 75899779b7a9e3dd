"""Low-rank adapters (Hu et al. 2022, arXiv:2106.09685, eq. 3), through peft."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from plaudit.errors import PlauditError
from plaudit.models.language import devices
from plaudit.models.language.config import Lora
from plaudit.models.language.loading import quiet

if TYPE_CHECKING:
    import peft


def adapt(lm: PreTrainedModel, lora: Lora, generator: torch.Generator) -> Any:
    """Put adapters into a model in place and freeze the rest; they start as no change. Returns peft's handle."""
    from peft import LoraConfig, get_peft_model  # time and memory that only adapters need

    _refuse_ends(lm, lora.targets)
    conv = any(isinstance(module, Conv1D) for module in lm.modules())
    settings = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        target_modules=list(lora.targets) or "all-linear",
        lora_dropout=0.0,
        fan_in_fan_out=conv,
        task_type="CAUSAL_LM",
    )
    try:
        with quiet(), devices.kept():
            adapted = get_peft_model(lm, settings)
    except ValueError as error:
        raise PlauditError(f"lora.targets: {' '.join(str(error).split())[:200]}") from None
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if "lora_A" in name:
                bound = p.shape[1] ** -0.5
                # drawn on the CPU, where the generator is: the weights may be on a GPU
                p.copy_(torch.empty(p.shape).uniform_(-bound, bound, generator=generator))
    return adapted.eval()


def _refuse_ends(lm: PreTrainedModel, targets: Sequence[str]) -> None:
    """The last layer is read as a plain product and an embedding has no input, so adapters there would be passed by."""
    for name, module in lm.named_modules():
        named = [target for target in targets if name == target or name.endswith(f".{target}")]
        if named and (isinstance(module, nn.Embedding) or module is lm.get_output_embeddings()):
            raise PlauditError(
                f"lora.targets: {named[0]!r} is the output layer or an embedding, which get no adapters; name layers "
                "between them, or leave this out for all of these"
            )


@contextmanager
def off(adapted: Any) -> Iterator[None]:
    """The model as it was before it was adapted."""
    with adapted.disable_adapter():
        yield


def merged(lm: PreTrainedModel, adapted: "peft.PeftModel | None") -> Any:
    """A copy of the model with the adapters added to its weights."""
    return lm if adapted is None else deepcopy(adapted).merge_and_unload()


def bare(lm: PreTrainedModel, adapted: "peft.PeftModel") -> Any:
    """A copy of the trunk without adapters."""
    return deepcopy(adapted).unload().base_model
