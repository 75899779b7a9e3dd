"""A reward model for text: a language model with one number at its last token.

It loads and saves as AutoModelForSequenceClassification with one label; the score is read at the last real token,
by the length of the text and never by looking for padding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from plaudit.batches.rows import take
from plaudit.errors import PlauditError
from plaudit.models.language import devices, loading, logprobs, requirements
from plaudit.models.language.tokens import alike, padded, refuse_longer
from plaudit.models.language.vocabulary import PAD, Vocabulary


@dataclass(frozen=True)
class Texts:
    """B whole texts as tokens, from column 0; padding at the right."""

    ids: Int[Tensor, "B L"]
    lengths: Int[Tensor, "B"]


def texts(sequences: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> Texts:
    """Texts from lists of token ids. Raises PlauditError where one has none."""
    for number, sequence in enumerate(sequences, 1):
        if not len(sequence):
            raise PlauditError(f"text {number} is empty: there is nothing to score; leave it out")
    ids, lengths = padded(sequences)
    return Texts(ids.to(device), lengths.to(device))


class TextReward(nn.Module):
    """r(text). Its scores are those that explain what people said, so forecasts and further fits use them as they are;
    `rewards` are what a policy is paid: the scores with the zero and the scale that `standardise` has fixed."""

    def __init__(
        self,
        model: PreTrainedModel,
        vocabulary: Vocabulary,
        rows: int = 64,
        dtype: Literal["float32", "bfloat16"] = "float32",
    ):
        super().__init__()
        score = getattr(model, "score", None)
        if not isinstance(score, nn.Linear) or score.out_features != 1:
            raise PlauditError(
                f"{vocabulary.name}: a reward model has one linear `score` head with one output; give a sequence "
                "classifier with num_labels 1"
            )
        requirements.without_dropout(model)
        self.model: Any = model.eval()
        self.vocabulary, self.rows, self.dtype = vocabulary, rows, dtype
        self._refuse_other_scores()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.score.weight.device

    @property
    def offset(self) -> float:
        """The score of a reward of 0."""
        return float(getattr(self.model.config, "reward_offset", 0.0))

    @property
    def scale(self) -> float:
        """By how much a reward differs where scores differ by 1."""
        return float(getattr(self.model.config, "reward_scale", 1.0))

    @property
    def judged_by(self) -> tuple[str, ...]:
        """Columns of a row that say by what its texts are judged, such as a criterion."""
        return tuple(getattr(self.model.config, "reward_judged_by", None) or ())

    def reading(self, ids: Sequence[int], columns: Mapping[str, Any], most: int | None) -> list[int]:
        """What it reads of a text: first by what to judge, then the text, which loses its beginning where both are
        longer than `most`. One reward can then hold opposite wishes, such as full answers and refusals.

        Raises PlauditError where the row lacks such a column.
        """
        missing = [name for name in self.judged_by if columns.get(name) is None]
        if missing:
            raise PlauditError(
                f"{self.vocabulary.name}: judges by the column `{missing[0]}`, which a row lacks; add it to the rows"
            )
        first = self.vocabulary.encode("".join(f"{columns[name]}\n" for name in self.judged_by))
        kept = ids if most is None else ids[max(0, len(ids) + len(first) - most) :]
        return [*first, *kept]

    def rewards(self, batch: Texts) -> Float[Tensor, "B"]:
        """What the texts are worth to a policy: (score - offset) * scale."""
        return (self(batch) - self.offset) * self.scale

    def forward(self, batch: Texts) -> Float[Tensor, "B"]:
        """The score of every text, differentiable. Texts of like length are read together.

        Raises PlauditError where a text is longer than the model reads.
        """
        refuse_longer(batch.lengths, loading.context_of(self.model))
        half = self.dtype == "bfloat16"
        if half:
            logprobs.install(self.model)
        pieces, scores = alike(batch.lengths, self.rows), []
        for rows in pieces:
            part = take(batch, rows)
            ids = part.ids[:, : int(part.lengths.max())]
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half):
                # padding lies at the right, where no real token looks; without a mask transformers warns of it
                hidden = self.model.base_model(
                    input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False
                ).last_hidden_state
            last = hidden[torch.arange(len(rows)), part.lengths - 1].float()
            scores.append(torch.nn.functional.linear(last, self.model.score.weight, self.model.score.bias))
        return torch.cat(scores).squeeze(-1)[torch.cat(pieces).argsort()]

    @torch.no_grad()
    def _refuse_other_scores(self) -> None:
        """Raise PlauditError where transformers would read another score of a text than this does."""
        entries, pad = self.model.get_input_embeddings().weight.shape[0], self.model.config.pad_token_id
        ids = [i for i in range(entries) if i != pad][:4]
        theirs = self.model(input_ids=torch.tensor([ids], device=self.device)).logits.flatten()
        if not torch.allclose(theirs, self(texts([ids], self.device)), atol=1e-3, rtol=1e-3):
            raise PlauditError(
                f"{self.vocabulary.name}: its score is more than a linear layer of the last hidden state, which "
                "plaudit cannot read; give another sequence classifier"
            )

    @torch.no_grad()
    def standardise(self, batch: Texts) -> None:
        """Give the rewards of these texts mean 0 and variance 1 (Stiennon et al. 2020, arXiv:2009.01325, appendix C,
        for the mean). No score changes. Where all have one score there is no scale to choose, and it stays.
        """
        if len(batch.lengths) < 2:
            raise PlauditError("one text has no spread of scores; give two or more to standardise over")
        scores = self(batch)
        spread = float(scores.std())
        self.fix(float(scores.mean()), 1 / spread if spread > 1e-6 else self.scale)

    def fix(self, offset: float, scale: float) -> None:
        """Set the zero and the scale of the rewards; they are saved with the model."""
        self.model.config.reward_offset, self.model.config.reward_scale = offset, scale


def begin(place: str, generator: torch.Generator) -> TextReward:
    """A reward model on the trunk of a language model, with a head of spread 1 / sqrt(width + 1) (Stiennon et al. 2020,
    appendix B), or an earlier reward model as it is."""
    made, taught = _read(place)
    if not taught:
        score = made.model.score
        with torch.no_grad():
            score.weight.normal_(0.0, (score.in_features + 1) ** -0.5, generator=generator)
            if score.bias is not None:
                score.bias.zero_()
        made.model.config.architectures = None  # written anew by save_pretrained
    return made


def trained(place: str) -> TextReward:
    """An earlier reward model as it is, where nothing teaches it any more. PlauditError for a language model: the score
    of that would be drawn at random."""
    made, taught = _read(place)
    if not taught:
        raise PlauditError(
            f"{place}: has no trained score, it is a plain language model; train one with `plaudit reward`"
        )
    return made


def _read(place: str) -> tuple[TextReward, bool]:
    """The model of a folder, and whether its score was saved with it."""
    with loading.quiet(), devices.kept():
        model, vocabulary = loading.load(place, "reward")
    made = TextReward(model, vocabulary)
    _pad(made)
    return made, loading.classifies(model)


def save(folder: Path, reward: TextReward) -> None:
    """Write it as AutoModelForSequenceClassification reads it."""
    loading.save(folder, reward.model, reward.vocabulary)


def _pad(reward: TextReward) -> None:
    """Others find the last token by looking for padding, so padding must be a token that no text holds."""
    tokenizer, model = reward.vocabulary.tokenizer, reward.model
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": PAD})
        if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
            with loading.quiet(), devices.kept():
                model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id = tokenizer.pad_token_id
