"""A language run from start to end: what it reports, what it leaves, what it does not touch."""

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from plaudit.errors import PlauditError
from plaudit.runs import settings
from plaudit.runs.folder import RunFolder
from plaudit.runs.provenance import of_weights
from plaudit.seeds import seed_of
from plaudit.stages import optimise
from plaudit.stages.adapters import language as language_run
from plaudit.stages.adapters.language_evaluate import Evaluation
from plaudit.stages.pretrain import pretrain
from plaudit.stages.pretrain_config import PretrainText
from tests.processes import metrics
from tests.stages.tasks import build, tick
from tests.text_world import NEW, World, quiet


def alone(world: World, **changes: Any) -> Any:
    reward = {"weights": {"texts": 1.0}, "functions": {"texts": f"{world.functions}:texts"}}
    return world.config(**{"feedback": {"labels": 0}, "reward": reward} | changes)


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with people and an adaptive price, finished."""
    settings = {"kl": {"coef": 0.05, "target": 0.02, "horizon": 50}}
    trainer = {"epochs": 2, "minibatch_size": 4}
    return optimise.start(
        world.config(trainer=trainer, settings=settings), tmp_path_factory.mktemp("run") / "run", quiet
    )


@pytest.mark.slow
def test_the_price_that_is_reported_is_the_one_that_was_paid(run: RunFolder) -> None:
    rows = list(run.rows())
    price = 0.05
    for row in rows:
        assert row["objective/non_score_reward"] == pytest.approx(-price * row["objective/kl_per_answer"])
        assert row["objective/rlhf_reward"] == pytest.approx(
            row["objective/scores"] + row["objective/non_score_reward"]
        )
        # value *= 1 + clip(current / target - 1, +-.2) n / horizon, after the update
        decisions = row["tokens"] - (rows[row["update"] - 2]["tokens"] if row["update"] > 1 else 0)
        error = min(max(row["objective/kl"] / 0.02 - 1, -0.2), 0.2)
        price *= 1 + error * decisions / 50
        assert row["objective/kl_coef"] == pytest.approx(price, rel=1e-5)
    assert price != 0.05


def test_an_annealed_price_is_reported_as_it_was_paid(world: World, tmp_path: Path) -> None:
    trainer = {"epochs": 1, "minibatch_size": 8, "anneal": ["kl.coef"], "learning_rate": 0.01}
    one = build(alone(world, trainer=trainer), tmp_path / "r")
    rows = [tick(one) for _ in range(3)]
    for done, row in enumerate(rows):
        paid = -0.05 * (1 - done / 4) * row["objective/kl_per_answer"]
        assert row["objective/non_score_reward"] == pytest.approx(paid)
    assert rows[2]["objective/non_score_reward"] != 0


def test_what_a_run_leaves(run: RunFolder, world: World) -> None:
    manifest = run.read_manifest()
    assert manifest["status"] == "finished" and manifest["resume"] == "exact" and manifest["notes"] == []
    result = manifest["result"]
    assert result["kept_update"] == 4 and result["win_prompts"] == 4 and result["win_by"] == "gold reward"
    hidden = [result["scores"][when]["gold_reward"] for when in ("before", "after")]
    points = [1.0 if b > a else 0.5 if b == a else 0.0 for a, b in zip(*hidden, strict=True)]
    assert result["win_rate"] == pytest.approx(sum(points) / 4)
    assert result["gold_reward_mean"] == pytest.approx(sum(hidden[1]) / 4)
    assert result["before"]["kl_per_answer"] == 0 and result["before"]["gold_reward_mean"] == pytest.approx(
        sum(hidden[0]) / 4
    )
    rows = list(run.rows())
    assert [row["update"] for row in rows] == [1, 2, 3, 4]
    assert [("eval/gold_reward_mean" in row) for row in rows] == [False, True, False, True]
    assert rows[3]["eval/kl_per_answer"] == pytest.approx(result["kl_per_answer"])
    assert rows[0]["start/gold_reward_mean"] == result["before"]["gold_reward_mean"]
    assert all(math.isfinite(v) for row in rows for v in row.values() if not isinstance(v, list))
    json.loads(
        (run.path / "metrics.jsonl").read_text().splitlines()[-1], parse_constant=pytest.fail
    )  # no NaN

    model = AutoModelForCausalLM.from_pretrained(run.path / "policy")
    tokenizer = AutoTokenizer.from_pretrained(run.path / "policy")
    assert model.generation_config.top_k == 0 and model.generation_config.eos_token_id == [
        tokenizer.eos_token_id
    ]
    ids = tokenizer("say ka:", return_tensors="pt")
    said = model.generate(
        **ids, max_new_tokens=6, do_sample=False, pad_token_id=tokenizer.pad_token_id
    )  # as anybody uses it
    assert said.shape[1] > ids["input_ids"].shape[1]
    assert of_weights(model) != of_weights(AutoModelForCausalLM.from_pretrained(world.lm))


@pytest.mark.slow
def test_the_start_and_the_last_policy_answer_once_and_are_judged_by_the_reward_as_it_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    plain = language_run.evaluate

    def noting(policy: Any, *rest: Any) -> Evaluation:
        asked.append(policy)
        return plain(policy, *rest)

    monkeypatch.setattr(language_run, "evaluate", noting)
    path = tmp_path / "r"
    one = build(world.config(), path)
    rows = [tick(one) for _ in range(4)]
    result = one.finish(RunFolder.open(path))
    assert asked == [
        one.models.start,
        one.models.policy,
        one.models.policy,
    ]  # the latter after 2 and 4 updates
    for name in ("gold_reward_mean", "kl_per_answer", "tokens", "proxy_reward_mean"):
        assert result[name] == rows[3][f"eval/{name}"]
    assert result["before"]["gold_reward_mean"] == rows[0]["start/gold_reward_mean"]
    now = plain(
        one.models.start,
        one.models.prompts.held_out,
        one.models.generation,
        one.scorers,
        seed_of(3, "evaluation"),
    )
    assert result["before"] == now.metrics()
    assert (
        result["before"]["proxy_reward_mean"] != rows[0]["start/proxy_reward_mean"]
    )  # the reward has learned since
    one.evaluations.clear()  # as after a resume
    assert one.finish(RunFolder.open(path)) == result


def test_the_first_update(world: World, tmp_path: Path) -> None:
    """One minibatch of the whole batch, one pass: the policy is still what it was when it answered."""
    one = build(world.config(trainer={"epochs": 1, "minibatch_size": 8}, evaluate_every=1), tmp_path / "r")
    row = tick(one)
    assert row["objective/kl_per_answer"] == row["objective/kl"] == row["objective/non_score_reward"] == 0
    assert row["objective/rlhf_reward"] == row["objective/scores"]
    assert row["val/ratio"] == pytest.approx(1, abs=1e-6) and row["policy/clipfrac_avg"] == 0
    assert row["policy/approxkl_avg"] == pytest.approx(0, abs=1e-9)
    assert row["loss/policy_avg"] == pytest.approx(0, abs=1e-6)  # advantages of mean 0
    assert row["val/explained_variance"] == 0  # the critic says 0 everywhere
    assert 0 < row["objective/entropy"] < math.log(270)
    assert row["objective/entropy"] == pytest.approx(row["policy/entropy_avg"], abs=1e-5)
    start = {name for name in row if name.startswith("start/")}
    assert start == {name.replace("eval/", "start/") for name in row if name.startswith("eval/")}
    assert {"start/gold_reward_mean", "start/proxy_reward_mean", "start/tokens", "start/capped"} <= start
    assert row["start/kl_per_answer"] == 0 and row["eval/kl_per_answer"] != 0
    assert not any(name.startswith("start/") for name in tick(one))
    one.close()


@pytest.mark.slow
def test_the_same_seed_is_the_same_run_and_global_generators_are_left_alone(
    world: World, tmp_path: Path
) -> None:
    def states() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()

    before = states()
    found = []
    for name, changes in (("a", {}), ("b", {}), ("other", {"seed": 4}), ("lora", {"policy": {"lora": {}}})):
        found.append(optimise.start(world.config(updates=2, **changes), tmp_path / name, quiet))
        torch.rand(3), random.random()  # what others draw meanwhile makes no difference
    torch.set_rng_state(torch.tensor(before[0], dtype=torch.uint8))
    random.setstate(before[1])
    assert states() == before
    one, again, other, lora = (metrics(folder.path) for folder in found)
    assert one == again and one != other
    assert one[0]["objective/scores"] != other[0]["objective/scores"]
    assert one[0]["start/tokens"] == lora[0]["start/tokens"]  # adapters that start as no change
    weights = [of_weights(AutoModelForCausalLM.from_pretrained(folder.path / "policy")) for folder in found]
    assert weights[0] == weights[1] != weights[2]


def test_building_a_run_draws_nothing_from_global_generators(world: World, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    for name, policy in (("a", {}), ("b", {"critic": "separate", "lora": {"rank": 2}})):
        one = build(world.config(policy=policy), tmp_path / name)
        tick(one), one.close()
        assert torch.equal(torch.get_rng_state(), before)


def test_without_a_price_no_reference_is_read(world: World, tmp_path: Path) -> None:
    free = alone(world, settings={"kl": {"coef": 0.0}}, reference="/no/such/model", evaluate_every=1)
    one = build(free, tmp_path / "r")
    assert one.models.reference is None
    rows = [tick(one), tick(one)]
    for row in rows:
        assert not {"objective/kl", "objective/kl_per_answer", "objective/rlhf_reward"} & row.keys()
        assert row["eval/kl_per_answer"] != 0  # the distance from the start is still measured
    with pytest.raises(PlauditError, match="/no/such/model"):
        build(alone(world, reference="/no/such/model"), tmp_path / "s")


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.slow
def test_the_reference_is_the_same_after_learning(
    lora: bool, elsewhere: bool, world: World, tmp_path: Path
) -> None:
    policy = {"lora": {"rank": 2}} if lora else {}
    reference = {"reference": str(world.lm)} if elsewhere else {}
    one = build(alone(world, policy=policy, **reference), tmp_path / "r")
    record = one.learner.rollouts.collect(one.models.policy, 8).record
    start, ref = one.models.start, one.models.reference
    assert (ref is start) == (not elsewhere)
    frozen = {f"{who} {name}": p for who, model in (("start", start), ("reference", ref))
              if isinstance(model, torch.nn.Module) for name, p in model.named_parameters()}  # fmt: skip
    if lora:
        frozen |= {n: p for n, p in one.models.policy.named_parameters() if not p.requires_grad}
    weights = {name: p.detach().numpy().tobytes() for name, p in frozen.items()}
    before = [start.scores(record).logp, ref.scores(record).logp, one.models.policy.scores(record).logp]
    for _ in range(2):
        tick(one)
    assert {name: p.detach().numpy().tobytes() for name, p in frozen.items()} == weights and weights
    assert all(not p.requires_grad and p.grad is None for p in frozen.values())
    after = [start.scores(record).logp, ref.scores(record).logp, one.models.policy.scores(record).logp]
    assert torch.equal(before[0], after[0]) and torch.equal(before[1], after[1])
    assert not torch.equal(before[2], after[2])


def test_a_reference_that_cannot_be_compared_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("zebra quartz " * 40)
    new = settings.build(PretrainText, {"new": NEW, "trainer": {"epochs": 1}}, "")
    pretrain(new, str(tmp_path / "text.txt"), tmp_path / "other", quiet)
    with pytest.raises(
        PlauditError, match="has another tokenizer than .*; give a reference with the same one"
    ):
        build(alone(world, reference=str(tmp_path / "other")), tmp_path / "r")


BLOCKED = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("gymnasium", "pygame", "mujoco", "matplotlib", "fastapi", "Box2D"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Refuse())
from pathlib import Path
from plaudit.runs import config as configs
from plaudit.stages import optimise
optimise.start(configs.load(Path("config.yaml")), Path("run"), lambda row: None)

print(sorted(name for name in sys.modules if name.startswith("plaudit.environments.control")))
"""


@pytest.mark.slow
def test_language_needs_no_environments(world: World, tmp_path: Path) -> None:
    """As on a machine where only the language extra is installed."""
    (tmp_path / "config.yaml").write_text(json.dumps(world.mapping(updates=2)))
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED],
        cwd=tmp_path, capture_output=True, text=True, timeout=250,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plain = ["plaudit.environments.control", "plaudit.environments.control.config"]  # values alone
    assert done.stdout.strip() == str(plain)
    assert RunFolder(tmp_path / "run").read_manifest()["status"] == "finished"
