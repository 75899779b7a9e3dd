import pytest
import torch

from plaudit.errors import PlauditError
from plaudit.models.language import devices, loading
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from tests.models.language.tiny import lm, seeded


def gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_devices_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 0)
    assert devices.device("cpu") == devices.device("auto") == torch.device("cpu")
    for name in ("cuda", "cuda:1"):
        with pytest.raises(
            PlauditError, match=f"device: {name} is asked for, but torch finds no GPU .*auto or cpu"
        ):
            devices.device(name)


def test_who_multiplies_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    for has, expected in (({"avx2": True, "amx_bf16": False}, False), ({"avx512_bf16": True}, True)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: has)
        assert devices.multiplies_in_half(torch.device("cpu")) is expected
        assert devices.multiplies_in_half(torch.device("cuda"))


def test_half_precision_that_is_slow_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    with pytest.warns(UserWarning, match="no instructions for bfloat16.*set float32"):
        LanguagePolicy(lm(), PolicyConfig(dtype="bfloat16"), seeded(0))
    LanguagePolicy(lm(), PolicyConfig(), seeded(0))


def test_devices_with_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    assert devices.device("auto") == devices.device("cuda") == torch.device("cuda")
    assert devices.device("cuda:1") == torch.device("cuda:1") and devices.device("cpu") == torch.device("cpu")
    with pytest.raises(PlauditError, match="device: cuda:2 is asked for, but there are 2"):
        devices.device("cuda:2")


def test_unknown_devices() -> None:
    for name in ("gpu", "", "cuda:", "cuda:x", "tpu:0"):
        with pytest.raises(PlauditError, match="is unknown; give auto, cpu, cuda or cuda:N"):
            devices.device(name)


def test_memory_that_is_full_on_a_gpu() -> None:
    said = r"not enough memory \(2.50 GiB more were wanted\); lower a.rows or b"
    with pytest.raises(PlauditError, match=said), loading.memory_explained("a.rows or b"):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has 1 GiB")


def test_memory_that_is_full_on_a_cpu() -> None:
    said = r"not enough memory \(4294967296.00 GiB more were wanted\); lower rows"
    with pytest.raises(PlauditError, match=said), loading.memory_explained("rows"):
        torch.empty(2**60, dtype=torch.float32)
    with pytest.raises(PlauditError, match="the machine has no more"), loading.memory_explained("rows"):
        raise MemoryError


def test_other_errors_stay_what_they_are() -> None:
    for error in (RuntimeError("sizes do not match"), KeyError("a"), PlauditError("b")):
        with pytest.raises(type(error)), loading.memory_explained("rows"):
            raise error
    with loading.memory_explained("rows"):
        pass
