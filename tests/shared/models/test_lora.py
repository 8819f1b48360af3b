"""Named low-rank adapters: zero at the start, merged to the bit, several in a batch, right under checkpointing."""

import hashlib

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from shared.models.config import llama_config
from shared.models.language_model import LanguageModel, generate
from shared.models.lora.adapters import (
    Adapted,
    adapter_names,
    adapter_parameters,
    add_adapter,
    layers,
    merged,
    set_strength,
    using,
)
from shared.models.lora.config import LoraConfig
from shared.models.lora.files import load_adapter, save_adapter

CONFIG = LoraConfig(rank=2, alpha=4.0)
TOKENS = torch.arange(4 * 7).reshape(4, 7) % 11


def small_model(dtype=torch.float64) -> LanguageModel:
    generator = torch.Generator().manual_seed(0)
    return LanguageModel(llama_config(11, d_model=8, num_layers=2, num_heads=2), generator).to(dtype)


def pair(trained: bool = True) -> LanguageModel:
    model = small_model()
    for seed, name in enumerate(("performer", "observer")):
        add_adapter(model, name, CONFIG, torch.Generator().manual_seed(seed))
        for parameter in adapter_parameters(model, name) if trained else ():
            parameter.data.normal_(std=0.3, generator=torch.Generator().manual_seed(10 + seed))
    return model


def test_a_new_adapter_changes_no_bit():
    before = small_model()(TOKENS)
    model = pair(trained=False)
    for name in (None, "performer", "observer"):
        assert torch.equal(Adapted(model, name)(TOKENS), before)


def test_only_adapters_are_trained():
    model = pair()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    kept = {k: v.clone() for k, v in model.state_dict().items() if "lora_" not in k}
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
    Adapted(model, "performer")(TOKENS).logsumexp(-1).sum().backward()
    optimizer.step()
    assert all(torch.equal(kept[k], v) for k, v in model.state_dict().items() if "lora_" not in k)
    assert all(p.grad is None for p in adapter_parameters(model, "observer"))


def test_merged_weights_give_the_adapter_s_logits_and_come_back_to_the_bit():
    model = pair()

    def digest() -> str:
        return hashlib.sha256(b"".join(v.numpy().tobytes() for v in model.state_dict().values())).hexdigest()

    before, wanted = digest(), Adapted(model, "performer")(TOKENS)
    with merged(model, "performer"):
        assert digest() != before
        torch.testing.assert_close(model(TOKENS), wanted, rtol=1e-10, atol=1e-12)
    assert digest() == before


def test_merging_twice_or_using_an_adapter_while_one_is_merged_is_refused():
    model = pair()
    with merged(model, "performer"), pytest.raises(ValueError, match="merged"):
        Adapted(model, "observer")(TOKENS)
    with merged(model, "performer"), pytest.raises(ValueError, match="merged already"), merged(model, "observer"):
        pass
    torch.testing.assert_close(model(TOKENS), small_model()(TOKENS), rtol=0, atol=0)


@pytest.mark.parametrize(
    "route", [("performer", "observer"), ("observer", None), (None, None, "performer", "observer")]
)
def test_several_adapters_in_one_batch_equal_one_at_a_time_in_value_and_gradient(route):
    model, size = pair(), len(TOKENS) // len(route)
    parameters = [p for p in model.parameters() if p.requires_grad]
    together = Adapted(model, route)(TOKENS)
    one_by_one = torch.cat([Adapted(model, name)(rows) for name, rows in zip(route, TOKENS.split(size), strict=True)])
    torch.testing.assert_close(together, one_by_one, rtol=1e-10, atol=1e-12)
    first, second = (
        torch.autograd.grad(y.square().sum(), parameters, allow_unused=True) for y in (together, one_by_one)
    )
    for a, b in zip(first, second, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_decoding_with_a_route_equals_decoding_alone():
    model = pair()
    prompt = TOKENS[:2, :3]
    together = generate(Adapted(model, ("performer", "observer")), prompt, 5, temperature=0)
    alone = torch.cat(
        [
            generate(Adapted(model, n), prompt[i : i + 1], 5, temperature=0)
            for i, n in enumerate(("performer", "observer"))
        ]
    )
    assert torch.equal(together, alone)


def test_strength_interpolates_from_the_base():
    model = pair()
    full, base = Adapted(model, "performer")(TOKENS), Adapted(model, None)(TOKENS)
    set_strength(model, "performer", 0.0)
    torch.testing.assert_close(Adapted(model, "performer")(TOKENS), base, rtol=0, atol=0)
    set_strength(model, "performer", 1.0)
    assert torch.equal(Adapted(model, "performer")(TOKENS), full)
    layer = next(iter(layers(model).values()))
    delta = layer.delta("performer")
    set_strength(model, "performer", 0.25)
    torch.testing.assert_close(layer.delta("performer"), 0.25 * delta)


def test_a_checkpointed_forward_recomputes_with_its_own_adapter():
    model = pair()
    parameters = adapter_parameters(model, "performer")
    plain = torch.autograd.grad(Adapted(model, "performer")(TOKENS).square().sum(), parameters)
    logits = checkpoint(Adapted(model, "performer"), TOKENS, use_reentrant=False)
    with using(model, "observer"):  # another adapter is on when the backward recomputes
        again = torch.autograd.grad(logits.square().sum(), parameters)
    for a, b in zip(plain, again, strict=True):
        torch.testing.assert_close(a, b)


def test_files_bring_an_adapter_back(tmp_path):
    model, other = pair(), small_model()
    save_adapter(model, "performer", CONFIG, tmp_path / "p")
    assert load_adapter(other, "loaded", tmp_path / "p").rank == 2
    torch.testing.assert_close(Adapted(other, "loaded")(TOKENS), Adapted(model, "performer")(TOKENS), rtol=0, atol=0)
    with pytest.raises(ValueError, match="already"):
        load_adapter(other, "loaded", tmp_path / "p")


def test_a_file_for_another_model_is_refused(tmp_path):
    save_adapter(pair(), "performer", CONFIG, tmp_path / "p")
    deeper = LanguageModel(llama_config(11, d_model=8, num_layers=3, num_heads=2))
    with pytest.raises(ValueError, match="other maps"):
        load_adapter(deeper, "performer", tmp_path / "p")


def test_what_cannot_be_is_refused():
    model = pair()
    with pytest.raises(ValueError, match="performer"):
        Adapted(model, "perfomer")
    with pytest.raises(ValueError, match="already"):
        add_adapter(model, "performer", CONFIG)
    with pytest.raises(ValueError, match="dots"):
        add_adapter(model, "a.b", CONFIG)
    with pytest.raises(ValueError, match="no linear map"):
        add_adapter(small_model(), "x", LoraConfig(targets=("q_proj",)))
    with pytest.raises(ValueError, match="does not fit"):
        add_adapter(small_model(), "x", LoraConfig(rank=9))
    with pytest.raises(ValueError, match="equally"):
        Adapted(model, ("performer", "observer", None))(TOKENS)
    assert adapter_names(model) == ["performer", "observer"]


class _ForPeft(nn.Module):
    """A model as peft takes it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(6, 5)
        self.second = nn.Linear(5, 4)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


@pytest.mark.filterwarnings("ignore")
def test_peft_reads_ours_and_we_read_peft_s(tmp_path):
    peft = pytest.importorskip("peft")
    config, x = LoraConfig(rank=2, alpha=6.0, targets=("first", "second")), torch.randn(3, 6)
    ours = _ForPeft()
    add_adapter(ours, "p", config)
    for parameter in adapter_parameters(ours, "p"):
        parameter.data.normal_(std=0.3, generator=torch.Generator().manual_seed(1))
    save_adapter(ours, "p", config, tmp_path / "ours")
    theirs = peft.PeftModel.from_pretrained(_ForPeft(), str(tmp_path / "ours"))
    torch.testing.assert_close(theirs(x), Adapted(ours, "p")(x))
    theirs.save_pretrained(str(tmp_path / "theirs"))
    again = _ForPeft()
    load_adapter(again, "q", tmp_path / "theirs")
    torch.testing.assert_close(Adapted(again, "q")(x), theirs(x))
