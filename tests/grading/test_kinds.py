"""Each helper of hidden checks passes a right function and catches one with its fault."""

import numpy as np
import pytest
import torch
from torch import nn

from grading.kinds import (
    close,
    leaves_no_trace,
    look_alikes,
    masks_at_the_edge,
    numbers_at_the_edge,
    other_layouts,
    other_types,
    refuses,
)

# Memory layout ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (1, 1), (0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool])
def test_other_layouts_hold_the_same_numbers(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    tensor = torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)
    twins = list(other_layouts(tensor))
    assert twins or tensor.numel() < 2
    assert all(torch.equal(twin, tensor) and twin.dtype == dtype for twin in twins)


def test_other_layouts_are_other_layouts() -> None:
    images = torch.randn(2, 3, 4, 5)
    strides = {twin.stride() for twin in other_layouts(images)}
    assert images.contiguous(memory_format=torch.channels_last).stride() in strides
    assert images.stride() not in strides
    assert len(strides) >= 5
    assert any(0 in twin.stride() for twin in other_layouts(torch.ones(2, 3)))


def test_other_layouts_of_several_and_of_what_learns() -> None:
    for first, second in other_layouts(torch.ones(2, 3), torch.ones(4, requires_grad=True)):
        assert not first.requires_grad
        assert second.requires_grad
        assert second.is_leaf


def test_other_layouts_tell_view_from_reshape() -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    assert all(close(twin.reshape(-1), tensor.reshape(-1)) for twin in other_layouts(tensor))
    with pytest.raises(RuntimeError, match="view"):
        [twin.view(-1) for twin in other_layouts(tensor)]
    wrong = [torch.as_strided(twin, (2, 3), (3, 1), 0) for twin in other_layouts(tensor)]
    assert not all(close(twin, tensor) for twin in wrong)


# Number types -----------------------------------------------------------------------------------------------


def test_other_types_of_floating_numbers_keep_a_promise_or_show_that_it_is_broken() -> None:
    tensor = torch.ones(3)
    twins = list(other_types(tensor, floats=(torch.float64, torch.float16), arrays=True))
    assert [str(twin.dtype).split(".")[-1] for twin in twins] == ["float64", "float16", "float32"]
    assert all((twin * 2).dtype == twin.dtype for twin in twins)
    assert not all(twin.float().dtype == twin.dtype for twin in twins[:2])  # "as it came", but made float32


def test_other_types_of_whole_numbers_leave_out_what_cannot_hold_them() -> None:
    types = [twin.dtype for twin in other_types(torch.tensor([0, -100]))]
    assert types == [torch.int32]  # not uint8
    assert [type(twin) for twin in other_types(3)] == [np.int64, np.int32]


def test_other_types_of_several_change_one_kind_at_a_time() -> None:
    twins = list(other_types(torch.ones(2), torch.tensor([1, 2]), torch.tensor([True])))
    assert [(x.dtype, n.dtype, mask.dtype) for x, n, mask in twins] == [
        (torch.float64, torch.int64, torch.bool),
        (torch.float32, torch.int32, torch.bool),
        (torch.float32, torch.uint8, torch.bool),
    ]


# Leaves no trace --------------------------------------------------------------------------------------------


def test_nothing_changed() -> None:
    network, x = look_alikes(), torch.randn(3, 4)
    things = [network, x, [1, x], {"a": {1}}, np.ones(2), torch.Generator(), None]
    with leaves_no_trace(*things, rng=True, weights=torch.ones(2, requires_grad=True)):
        network.eval()
        with torch.no_grad():
            network(x)
        network.train()
        network.norm.eval()
        network.norm1[1].eval()


def said_about(change, *things, **named) -> str:
    """What a learner reads when `change` was called."""
    with torch.enable_grad(), pytest.raises(AssertionError) as caught:  # noqa: SIM117
        with leaves_no_trace(*things, rng=True, **named):
            change()
    return str(caught.value)


def test_a_tensor_was_changed() -> None:
    x = torch.ones(3)
    assert said_about(lambda: x.add_(1), 5, x).startswith("input 2 is not as it was before the call: numbers")
    assert said_about(lambda: x.requires_grad_(), signal=x).startswith("signal is not as it was")
    assert "grad changed" in said_about(lambda: x.sum().backward(), x)
    assert "length" in said_about(lambda: things.append(x), things := [x])
    assert "'a'" in said_about(lambda: features["a"].zero_(), features := {"a": torch.ones(2)})
    assert "keys" in said_about(lambda: features.pop("a"), features)
    assert "numbers of item 1" in said_about(lambda: things[1].add_(1), things := (1, torch.ones(2)))


def test_numbers_that_are_none_and_other_storage_change_nothing_but_themselves() -> None:
    odd = torch.tensor([torch.nan, torch.inf, 0.0])
    sparse = torch.eye(2).to_sparse()
    with leaves_no_trace(odd, sparse):
        odd[2] = -0.0
    assert "numbers" in said_about(lambda: odd.data[0].fill_(0), odd)
    assert "numbers" in said_about(lambda: sparse.values().fill_(2), sparse)
    assert "numbers" in said_about(lambda: setattr(odd, "data", odd.double()), odd)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda network: network.layers[11].weight.data.mul_(2), "numbers of layers.11.weight"),
        (lambda network: network.scale.data.mul_(2), "numbers of scale"),
        (lambda network: network.positions.mul_(2), "numbers of positions"),  # not in the state dict
        (lambda network: network.norm.train(), "mode (train or eval) of norm changed"),
        (lambda network: network.layers[3].weight.requires_grad_(), "requires_grad of layers.3.weight"),
        (lambda network: network.layers[1].register_forward_hook(print), "hooks of layers.1 "),
        (lambda network: setattr(network, "cache", torch.ones(1)), "the module.cache"),
        (lambda network: setattr(network, "norm", nn.Identity()), "object norm"),
        (
            lambda network: setattr(network.decoder, "weight", nn.Parameter(network.decoder.weight.clone())),
            "object decoder.weight",
        ),
        (lambda network: network.scale.sum().backward(), "grad of scale"),
    ],
)
def test_a_part_of_a_network_was_changed(change, said: str) -> None:
    network = look_alikes()
    assert said in said_about(lambda: change(network), network)


def test_random_numbers_and_modes_of_torch_were_changed() -> None:
    generator = torch.Generator()
    assert "random state" in said_about(lambda: torch.rand(1, generator=generator), generator)
    assert "random numbers of torch" in said_about(lambda: torch.rand(1))
    assert "random numbers of numpy" in said_about(lambda: np.random.rand())  # noqa: NPY002
    assert "grad mode" in said_about(lambda: torch.set_grad_enabled(False))


# Errors and numbers -----------------------------------------------------------------------------------------


class OwnError(ValueError):
    """A learner's own type, which `isinstance` takes for a ValueError."""


def root(x: float, error: type[Exception] = ValueError) -> float:
    if x < 0:
        raise error(f"Number {x} at place 11 has no root")
    return x**0.5


def test_refuses_takes_a_subclass_and_reads_the_message() -> None:
    assert refuses(ValueError, root, -1, mentions=["number", -1, 11])
    assert isinstance(refuses(ValueError, root, -1, error=OwnError), OwnError)  # `error` is root's here


@pytest.mark.parametrize(
    ("args", "mentions", "said"),
    [
        ((4,), (), "root(4): expected ValueError, but it was accepted and gave 2.0"),
        ((-1, TypeError), (), "expected ValueError, got TypeError: Number -1"),
        ((-1,), "width", "should mention width, but says ValueError: Number -1"),
        ((-1,), 1, "should mention 1,"),  # neither -1 nor 11
        (([torch.ones(2), 1],), (), "root([a tensor of shape (2,), 1]): expected ValueError, got TypeError"),
    ],
)
def test_refuses_says_what_happened_instead(args: tuple, mentions, said: str) -> None:
    with pytest.raises(AssertionError) as caught:
        refuses(ValueError, root, *args, mentions=mentions)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (torch.tensor([1.0, 2.0], dtype=torch.float64), [1, 2]),
        (np.array([1, 2]), torch.tensor([1.0, 2.0], requires_grad=True)),
        (3, torch.tensor(3.000001)),
        ([torch.nan, -torch.inf], torch.tensor([torch.nan, -torch.inf])),
        (torch.tensor([0.1], dtype=torch.bfloat16), [0.1]),
        ((torch.ones(2), torch.zeros(1)), [[1.0, 1.0], [0.0]]),
        (torch.eye(2).to_sparse(), torch.eye(2)),
        (torch.tensor([True]), [1]),
    ],
)
def test_close(got, expected) -> None:
    assert close(got, expected)
    assert close(expected, got)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (torch.ones(1, 2), torch.ones(2)),  # would broadcast
        (torch.ones(1), 1.0),
        ([-1000.0], [-torch.inf]),
        ([torch.nan], [0.0]),
        ([1.001], [1.0]),
        (None, [1.0]),
        ("1", 1),
        ((torch.ones(2),), (torch.ones(2), torch.ones(2))),
    ],
)
def test_not_close(got, expected) -> None:
    assert not close(got, expected)
    assert not close(expected, got)


def test_close_to_tiny_numbers() -> None:
    assert close([2e-9], [1e-9])
    assert not close([2e-9], [1e-9], absolute=0)


# Which one, all of it, edges --------------------------------------------------------------------------------


def test_look_alikes_has_what_answers_forget() -> None:
    network = look_alikes()
    names = dict(network.named_modules())
    assert {"layers.1", "layers.11", "norm", "norm1"} <= set(names)
    assert next(name for name in names if name.endswith("1")) != "layers.11"
    own = sum(p.numel() for p in network.parameters(recurse=False))
    all_names = list(network.named_parameters(remove_duplicate=False))
    assert own == 4  # left out by an answer that sums over children
    assert len(all_names) == len(list(network.parameters())) + 1  # tied: counted twice by another
    assert {name for name, _ in network.named_buffers()} - set(network.state_dict()) == {"positions"}
    assert {part.training for part in network.modules()} == {True, False}
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == ["layers.3.weight"]
    assert network(torch.ones(3, 4)).shape == (3, 4)
    assert torch.equal(look_alikes()(torch.ones(3, 4)), network(torch.ones(3, 4)))


def test_numbers_at_the_edge_tell_stable_from_unstable() -> None:
    rows = numbers_at_the_edge()
    stable = {name: row.softmax(0) for name, row in rows.items()}
    unstable = {name: row.exp() / row.exp().sum() for name, row in rows.items()}
    assert not any(row.isnan().any() for row in stable.values())
    assert [name for name, row in unstable.items() if row.isnan().any()] == ["large", "very negative", "huge"]
    assert rows["nearly constant"].std() > 1e-5
    by_squares = (rows["nearly constant"].square().mean() - rows["nearly constant"].mean().square()).sqrt()
    assert not close(by_squares, rows["nearly constant"].std(correction=0), absolute=0)


def test_masks_at_the_edge() -> None:
    assert masks_at_the_edge(4).int().tolist() == [
        [1, 1, 1, 1],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [1, 0, 1, 1],
        [0, 0, 0, 0],
    ]
