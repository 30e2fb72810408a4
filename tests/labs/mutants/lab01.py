"""Answers to lab 01 that learners could write: wrong ones must lose points, right ones keep all of them."""

import contextlib
import copy

import numpy as np
import torch
import torch.nn.functional as F
from lab_runner import Answers
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

answers = Answers()
wrong, right = answers.wrong, answers.right


# Exercise 1: dense_relu -------------------------------------------------------------------------------------


@wrong("dense_relu", "a constant that fits the visible example")
def the_example_only(x, weight, bias):
    return torch.tensor([[2.0, 2.5], [0.0, 0.0], [0.0, 0.5]])


@wrong("dense_relu", "the bias comes after ReLU")
def bias_after_relu(x, weight, bias):
    return torch.relu(x @ weight.T) + bias


@wrong("dense_relu", "no bias")
def no_bias(x, weight, bias):
    return torch.relu(x @ weight.T)


@wrong("dense_relu", "no ReLU")
def no_relu(x, weight, bias):
    return x @ weight.T + bias


@wrong("dense_relu", "absolute value in place of ReLU")
def absolute_value(x, weight, bias):
    return (x @ weight.T + bias).abs()


@wrong("dense_relu", "weights not transposed: works for square ones only")
def not_transposed(x, weight, bias):
    return torch.relu(x @ weight + bias)


@wrong("dense_relu", "neurons in rows, inputs in columns")
def neurons_in_rows(x, weight, bias):
    return torch.relu(weight @ x.T + bias[:, None])


@wrong("dense_relu", "answers above 6 are cut off, as ReLU6 does")
def relu6(x, weight, bias):
    return F.relu6(x @ weight.T + bias)


@wrong("dense_relu", "ReLU keeps a slope below zero")
def leaky_relu(x, weight, bias):
    return F.leaky_relu(x @ weight.T + bias)


@wrong("dense_relu", "adds the bias of the neuron to the input, in place")
def changes_its_argument(x, weight, bias):
    bias += 0.5
    return torch.relu(x @ weight.T + bias - 0.5)


@wrong("dense_relu", "returns nothing")
def forgets_return(x, weight, bias):
    torch.relu(x @ weight.T + bias)


@right("dense_relu", "PyTorch's own layer")
def functional_linear(x, weight, bias):
    return F.relu(F.linear(x, weight, bias))


@right("dense_relu", "einsum and clamp")
def einsum(x, weight, bias):
    return (torch.einsum("bd,nd->bn", x, weight) + bias).clamp(min=0)


@right("dense_relu", "a loop over inputs and neurons")
def loops(x, weight, bias):
    out = torch.zeros(len(x), len(weight))
    for b in range(len(x)):
        for n in range(len(weight)):
            out[b, n] = max(0.0, (x[b] * weight[n]).sum() + bias[n])
    return out


@right("dense_relu", "broadcasting, without a product of matrices")
def broadcasting(x, weight, bias):
    sums = (x[:, None, :] * weight[None]).sum(dim=2) + bias
    return torch.where(sums > 0, sums, torch.zeros_like(sums))


@wrong("dense_relu", "weights turned by view: right for the numbers of one row only")
def turned_by_view(x, weight, bias):
    return torch.relu(x @ weight.reshape(weight.shape[1], weight.shape[0]) + bias)


@wrong("dense_relu", "reads weights from memory, whatever their layout")
def weights_from_memory(x, weight, bias):
    rows = weight.as_strided(weight.shape, (weight.shape[1], 1), weight.storage_offset())
    return torch.relu(x @ rows.T + bias)


@wrong("dense_relu", "refuses tensors that are stored in another order")
def view_refuses(x, weight, bias):
    return torch.relu(x @ weight.view(-1).view(weight.shape).T + bias)


@wrong("dense_relu", "rounds to half precision on the way")
def half_precision(x, weight, bias):
    return torch.relu(x.bfloat16() @ weight.T.bfloat16() + bias.bfloat16()).to(x.dtype)


@wrong("dense_relu", "float32 only: other numbers are an error")
def float32_only(x, weight, bias):
    out = torch.zeros(len(x), len(weight))
    torch.mm(x, weight.T, out=out)
    return torch.relu(out + bias)


@wrong("dense_relu", "softplus, which is ReLU with a round corner")
def round_corner(x, weight, bias):
    return F.softplus(x @ weight.T + bias, beta=20)


@wrong("dense_relu", "GELU in place of ReLU")
def gelu(x, weight, bias):
    return F.gelu(x @ weight.T + bias)


@wrong("dense_relu", "names of its own for the arguments")
def other_names(inputs, weights, biases):
    return torch.relu(inputs @ weights.T + biases)


@wrong("dense_relu", "a whole batch gets the answer of its sum")
def sums_the_batch(x, weight, bias):
    return torch.relu(x.sum(0, keepdim=True) @ weight.T + bias).expand(len(x), -1)


@right("dense_relu", "nn.Linear, its parameters replaced")
def linear_module(x, weight, bias):
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
    return F.relu(layer(x))


@right("dense_relu", "computed in float64")
def in_double(x, weight, bias):
    return F.threshold(torch.addmm(bias.double(), x.double(), weight.double().t()), 0.0, 0.0)


# Exercise 2: extract_features -------------------------------------------------------------------------------


def look_up(model, layers):
    """The named layers; the part that most answers get right."""
    modules = dict(model.named_modules())
    for name in layers:
        if name not in modules:
            raise ValueError(f"the model has no layer {name}")
    return [(name, modules[name]) for name in layers]


@wrong("extract_features", "the hooks stay behind")
def hooks_stay(model, images, layers):
    out = {}
    for name, module in look_up(model, layers):
        module.register_forward_hook(lambda m, i, o, name=name: out.update({name: o.detach().clone()}))
    model(images)
    return dict(out)


@wrong("extract_features", "the hooks stay behind when the run fails")
def no_finally(model, images, layers):
    out, handles = {}, []
    for name, module in look_up(model, layers):
        hook = lambda m, i, o, name=name: out.update({name: o.detach().clone()})  # noqa: E731
        handles.append(module.register_forward_hook(hook))
    model(images)
    for handle in handles:
        handle.remove()
    return out


@wrong("extract_features", "a hook stays behind when a later name is unknown")
def looks_up_while_registering(model, images, layers):
    out, handles = {}, []
    modules = dict(model.named_modules())
    for name in layers:
        if name not in modules:
            raise ValueError(name)
        hook = modules[name].register_forward_hook(
            lambda m, i, o, n=name: out.update({n: o.detach().clone()})
        )
        handles.append(hook)
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return out


@wrong("extract_features", "every hook writes under the last name: the closure sees the loop's variable")
def late_binding(model, images, layers):
    out, handles = {}, []
    for name, module in look_up(model, layers):
        hook = lambda m, i, o: out.update({name: o.detach().clone()})  # noqa: B023, E731
        handles.append(module.register_forward_hook(hook))
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return out


def extract(model, images, layers, keep=lambda module, inputs, output: output.detach().clone()):
    """A right extractor with an exchangeable part: what a hook keeps."""
    out, handles = {}, []
    for name, module in look_up(model, layers):

        def hook(module, inputs, output, name=name):
            out[name] = keep(module, inputs, output)

        handles.append(module.register_forward_hook(hook))
    try:
        model(images)
    finally:
        for handle in handles:
            handle.remove()
    return out


@wrong("extract_features", "no copy: an in-place ReLU overwrites the features")
def no_copy(model, images, layers):
    return extract(model, images, layers, keep=lambda module, inputs, output: output.detach())


@wrong("extract_features", "the features hold on to their gradients")
def keeps_gradients(model, images, layers):
    return extract(model, images, layers, keep=lambda module, inputs, output: output.clone())


@wrong("extract_features", "keeps what goes into the layer")
def keeps_inputs(model, images, layers):
    return extract(model, images, layers, keep=lambda module, inputs, output: inputs[0].detach().clone())


@wrong("extract_features", "switches the model to evaluation mode for good")
def eval_for_good(model, images, layers):
    model.eval()
    return extract(model, images, layers)


@wrong("extract_features", "runs in evaluation mode, though the model was in training mode")
def eval_for_the_run(model, images, layers):
    was_training = model.training
    model.eval()
    out = extract(model, images, layers)
    model.train(was_training)
    return out


@wrong("extract_features", "leaves out names that the model does not have, without a word")
def ignores_unknown_names(model, images, layers):
    known = dict(model.named_modules())
    return extract(model, images, [name for name in layers if name in known])


@wrong("extract_features", "an unknown name ends in PyTorch's AttributeError")
def attribute_error(model, images, layers):
    for name in layers:
        model.get_submodule(name)
    return extract(model, images, layers)


@wrong("extract_features", "knows the model's direct parts only, not the layers inside them")
def children_only(model, images, layers):
    children = dict(model.named_children())
    for name in layers:
        if name not in children:
            raise ValueError(f"no layer {name}")
    return extract(model, images, layers)


@wrong("extract_features", "removes the hooks of others too")
def clears_all_hooks(model, images, layers):
    try:
        return extract(model, images, layers)
    finally:
        for module in model.modules():
            module._forward_hooks.clear()


@wrong("extract_features", "swallows the model's errors")
def swallows_errors(model, images, layers):
    look_up(model, layers)
    with contextlib.suppress(Exception):
        return extract(model, images, layers)
    return {}


@wrong("extract_features", "freezes the model to be rid of gradients, and leaves it frozen")
def freezes_the_model(model, images, layers):
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return extract(model, images, layers)


@wrong("extract_features", "switches gradients off for the whole program")
def gradients_off_for_good(model, images, layers):
    torch.set_grad_enabled(False)
    return extract(model, images, layers)


collected = {}


@wrong("extract_features", "all calls share one dictionary")
def shared_dictionary(model, images, layers):
    collected.update(extract(model, images, layers))
    return collected


@right("extract_features", "try / finally around the run")
def try_finally(model, images, layers):
    return extract(model, images, layers)


@right("extract_features", "an exit stack removes the hooks; no_grad for the whole run")
def exit_stack(model, images, layers):
    out = {}
    found = look_up(model, layers)
    with contextlib.ExitStack() as stack, torch.no_grad():
        for name, module in found:
            hook = lambda m, i, o, name=name: out.__setitem__(name, o.clone())  # noqa: E731
            stack.callback(module.register_forward_hook(hook).remove)
        model(images)
    return out


@right("extract_features", "get_submodule, its error translated; a class as hook")
def class_as_hook(model, images, layers):
    class Keeper:
        def __call__(self, module, inputs, output):
            self.value = output.detach().clone()

    modules = {}
    for name in layers:
        try:
            modules[name] = model.get_submodule(name)
        except AttributeError as error:
            raise ValueError(f"there is no {name!r} in this model") from error
    keepers = {name: Keeper() for name in layers}
    handles = [modules[name].register_forward_hook(keeper) for name, keeper in keepers.items()]
    try:
        model(images)
    finally:
        [handle.remove() for handle in handles]
    return {name: keeper.value for name, keeper in keepers.items()}


@right("extract_features", "registers inside of try, so that any error removes the hooks")
def registers_inside_try(model, images, layers):
    out, handles = {}, []
    modules = dict(model.named_modules())
    try:
        for name in layers:
            if name not in modules:
                raise ValueError(f"unknown layer: {name}")
            hook = lambda m, i, o, name=name: out.update({name: o.data.clone()})  # noqa: E731
            handles.append(modules[name].register_forward_hook(hook))
        model(images)
    finally:
        while handles:
            handles.pop().remove()
    return out


@wrong("extract_features", "float32, whatever the layer made")
def as_float32(model, images, layers):
    return extract(model, images, layers, keep=lambda module, inputs, output: output.detach().clone().float())


@wrong("extract_features", "leaves out dimensions of size 1")
def squeezes_features(model, images, layers):
    return extract(
        model, images, layers, keep=lambda module, inputs, output: output.detach().clone().squeeze()
    )


@wrong("extract_features", "finds layers by the end of their names: 1 is found in 11")
def by_ending(model, images, layers):
    modules = dict(model.named_modules())
    full = {}
    for name in layers:
        found = [known for known in modules if known.endswith(name)]
        if not found:
            raise ValueError(f"no layer {name}")
        full[name] = name if name in found else found[-1]
    out = extract(model, images, list(full.values()))
    return {name: out[known] for name, known in full.items()}


@wrong("extract_features", "layers whose names begin alike are taken too")
def by_beginning(model, images, layers):
    look_up(model, layers)
    wanted = [known for known, _ in model.named_modules() if any(known.startswith(name) for name in layers)]
    return extract(model, images, wanted)


@wrong("extract_features", "always names the first layer as the missing one")
def names_the_first(model, images, layers):
    modules = dict(model.named_modules())
    if any(name not in modules for name in layers):
        raise ValueError(f"the model has no layer {layers[0]}")
    return extract(model, images, layers)


@wrong("extract_features", "remembers the model's own mode, and gives it to all parts afterwards")
def one_mode_for_all(model, images, layers):
    was_training = model.training
    try:
        return extract(model, images, layers)
    finally:
        model.train(was_training)


@wrong("extract_features", "runs twice, the first time to see the names")
def runs_twice(model, images, layers):
    look_up(model, layers)
    model(images)
    return extract(model, images, layers)


@wrong("extract_features", "switches gradients on afterwards, whatever they were")
def gradients_on(model, images, layers):
    torch.set_grad_enabled(False)
    try:
        return extract(model, images, layers)
    finally:
        torch.set_grad_enabled(True)


by_shape = {}


@wrong("extract_features", "keeps the results for images of the same size")
def caches_by_shape(model, images, layers):
    look_up(model, layers)
    key = id(model), images.shape, tuple(layers)
    if key not in by_shape:
        by_shape[key] = extract(model, images, layers)
    return by_shape[key]


@wrong("extract_features", "puts an error of its own in the place of the model's")
def hides_the_error(model, images, layers):
    look_up(model, layers)
    try:
        return extract(model, images, layers)
    except Exception as error:
        raise RuntimeError("the model failed") from error


@wrong("extract_features", "sorts the caller's list of names")
def sorts_the_names(model, images, layers):
    layers.sort()
    return extract(model, images, layers)


@wrong("extract_features", "notes what it kept on the layers themselves")
def notes_on_layers(model, images, layers):
    out = extract(model, images, layers)
    for name, module in look_up(model, layers):
        module.output = out[name]
    return out


@right("extract_features", "an error class of its own, which is a ValueError")
def own_error(model, images, layers):
    class NoSuchLayer(ValueError):
        pass

    known = {name for name, _ in model.named_modules()}
    missing = [name for name in layers if name not in known]
    if missing:
        raise NoSuchLayer(missing)
    return extract(model, images, layers)


@right("extract_features", "a deep copy carries the hooks")
def copied_model(model, images, layers):
    return extract(copy.deepcopy(model), images, layers)


# Exercise 3: global_average_pool ----------------------------------------------------------------------------


def check_rank(maps):
    if maps.ndim != 4:
        raise ValueError(f"maps must be (B, C, H, W), not {tuple(maps.shape)}")


@wrong("global_average_pool", "averages over the channels")
def over_channels(maps):
    check_rank(maps)
    return maps.mean(dim=1).flatten(1)


@wrong("global_average_pool", "averages over the width only")
def over_width(maps):
    check_rank(maps)
    return maps.mean(dim=-1)


@wrong("global_average_pool", "keeps the two averaged dimensions, (B, C, 1, 1)")
def keeps_dimensions(maps):
    check_rank(maps)
    return maps.mean(dim=(2, 3), keepdim=True)


@wrong("global_average_pool", "squeeze also removes a batch of one and a single channel")
def squeezes_too_much(maps):
    check_rank(maps)
    return F.adaptive_avg_pool2d(maps, 1).squeeze()


@wrong("global_average_pool", "the largest value in place of the mean")
def takes_the_maximum(maps):
    check_rank(maps)
    return maps.amax(dim=(2, 3))


@wrong("global_average_pool", "the sum in place of the mean")
def takes_the_sum(maps):
    check_rank(maps)
    return maps.sum(dim=(2, 3))


@wrong("global_average_pool", "divides by the height twice: right for square maps only")
def square_maps_only(maps):
    check_rank(maps)
    return maps.sum(dim=(2, 3)) / maps.shape[2] ** 2


@wrong("global_average_pool", "takes (C, H, W) without a word")
def no_check(maps):
    return maps.mean(dim=(-2, -1))


@wrong("global_average_pool", "refuses (C, H, W), takes five dimensions")
def checks_three_only(maps):
    if maps.ndim == 3:
        raise ValueError(f"no batch dimension: {tuple(maps.shape)}")
    return maps.mean(dim=(2, 3))


@wrong("global_average_pool", "helps (C, H, W) out in place of refusing it")
def adds_a_batch_dimension(maps):
    return maps.reshape(-1, *maps.shape[-3:]).mean(dim=(2, 3))


@wrong("global_average_pool", "an assert in place of the ValueError")
def asserts(maps):
    assert maps.ndim == 4, f"{tuple(maps.shape)}"
    return maps.mean(dim=(2, 3))


@wrong("global_average_pool", "reads the map in the wrong order: channels last")
def channels_last(maps):
    check_rank(maps)
    batch, channels, height, width = maps.shape
    return maps.reshape(batch, height * width, channels).mean(dim=1)


@right("global_average_pool", "PyTorch's layer, flattened")
def adaptive_pool(maps):
    if maps.dim() != 4:
        raise ValueError(f"expected four dimensions, got {maps.shape}")
    return F.adaptive_avg_pool2d(maps, 1).flatten(1)


@right("global_average_pool", "flatten, then mean")
def flatten_then_mean(maps):
    check_rank(maps)
    return maps.flatten(2).mean(-1)


@right("global_average_pool", "sum divided by the number of positions")
def sum_by_positions(maps):
    try:
        _, _, height, width = maps.shape
    except ValueError:
        raise ValueError(f"bad shape {tuple(maps.shape)}") from None
    return maps.sum(3).sum(2) / (height * width)


@wrong("global_average_pool", "view refuses maps that are stored in another order")
def by_view(maps):
    check_rank(maps)
    return maps.view(maps.shape[0], maps.shape[1], -1).mean(-1)


@wrong("global_average_pool", "reads memory as if the maps were stored row by row")
def by_as_strided(maps):
    check_rank(maps)
    batch, channels, height, width = maps.shape
    positions = height * width
    flat = maps.as_strided((batch, channels, positions), (channels * positions, positions, 1))
    return flat.mean(-1)


@wrong("global_average_pool", "the middle of the map in place of its mean")
def the_middle(maps):
    check_rank(maps)
    return maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]


@wrong("global_average_pool", "the mean of the largest and the smallest value")
def middle_of_the_range(maps):
    check_rank(maps)
    return (maps.amax((2, 3)) + maps.amin((2, 3))) / 2


@wrong("global_average_pool", "zeros do not count")
def without_zeros(maps):
    check_rank(maps)
    return maps.clamp(min=0).sum((2, 3)) / (maps > 0).sum((2, 3)).clamp(min=1)


@wrong("global_average_pool", "subtracts the mean from the maps on the way")
def centers_in_place(maps):
    check_rank(maps)
    mean = maps.mean((2, 3))
    maps -= mean[:, :, None, None]
    return mean


@wrong("global_average_pool", "bfloat16 on the way")
def coarse(maps):
    check_rank(maps)
    return maps.bfloat16().mean((2, 3)).to(maps.dtype)


@wrong("global_average_pool", "the number of dimensions in the message, not the shape")
def says_dimensions(maps):
    if maps.ndim != 4:
        raise ValueError(f"four dimensions expected, got {maps.ndim}")
    return maps.mean((2, 3))


@wrong("global_average_pool", "TypeError in place of ValueError")
def type_error(maps):
    if maps.ndim != 4:
        raise TypeError(f"{tuple(maps.shape)}")
    return maps.mean((2, 3))


@wrong("global_average_pool", "one dimension short is refused, as is one of size 1 at the front or the end")
def squeezes_first(maps):
    maps = maps.squeeze(0) if maps.ndim == 5 else maps
    check_rank(maps)
    return maps.mean((2, 3))


@right("global_average_pool", "an error class of its own, a list of the sizes")
def own_shape_error(maps):
    class ShapeError(ValueError):
        pass

    if len(maps.shape) != 4:
        raise ShapeError("maps should be (B, C, H, W)", list(maps.shape))
    return torch.einsum("bchw->bc", maps) / maps[0, 0].numel()


@right("global_average_pool", "computed in float64")
def pooled_in_double(maps):
    check_rank(maps)
    return maps.double().reshape(*maps.shape[:2], -1).mean(2)


# Exercise 4: frozen_features --------------------------------------------------------------------------------


def modes_of(model):
    """Every part of the model with the mode that it is in."""
    return [(part, part.training) for part in model.modules()]


def put_back(modes):
    for part, mode in modes:
        part.training = mode


@wrong("frozen_features", "no evaluation mode: statistics move, dropout is at work")
def no_eval(model, images, batch_size=50):
    with torch.no_grad():
        return torch.cat([model(batch) for batch in images.split(batch_size)])


@wrong("frozen_features", "the model stays in evaluation mode")
def stays_in_eval(model, images, batch_size=50):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(batch) for batch in images.split(batch_size)])


@wrong("frozen_features", "puts every model into training mode afterwards, whatever it was in")
def always_train_afterwards(model, images, batch_size=50):
    model.eval()
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in images.split(batch_size)])
    model.train()
    return features


@wrong("frozen_features", "gradients are recorded")
def records_gradients(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    features = torch.cat([model(batch) for batch in images.split(batch_size)])
    put_back(modes)
    return features


@wrong("frozen_features", "gradients are recorded and thrown away at the end: the memory was needed")
def detaches_at_the_end(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    features = torch.cat([model(batch).detach() for batch in images.split(batch_size)])
    put_back(modes)
    return features


@wrong("frozen_features", "drops the last, smaller batch")
def drops_the_last_batch(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    with torch.no_grad():
        starts = range(0, len(images) - batch_size + 1, batch_size)
        features = torch.cat([model(images[start : start + batch_size]) for start in starts])
    put_back(modes)
    return features


@wrong("frozen_features", "all images in one forward pass")
def one_pass(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    with torch.no_grad():
        features = model(images)
    put_back(modes)
    return features


@wrong("frozen_features", "batch_size is taken for the number of batches")
def chunks(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in images.chunk(batch_size)])
    put_back(modes)
    return features


@wrong("frozen_features", "switches gradients off for the whole program")
def grad_off_for_good(model, images, batch_size=50):
    torch.set_grad_enabled(False)
    modes = modes_of(model)
    model.eval()
    features = torch.cat([model(batch) for batch in images.split(batch_size)])
    put_back(modes)
    return features


@wrong("frozen_features", "freezes the parameters, and leaves them frozen")
def freezes_parameters(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval().requires_grad_(False)
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in images.split(batch_size)])
    put_back(modes)
    return features


@wrong("frozen_features", "thaws parameters that were frozen before")
def thaws_parameters(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval().requires_grad_(False)
    features = torch.cat([model(batch) for batch in images.split(batch_size)])
    put_back(modes)
    model.requires_grad_(True)
    return features


@wrong("frozen_features", "shuffles the images on the way")
def shuffles(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    with torch.no_grad():
        loader = torch.utils.data.DataLoader(images, batch_size=batch_size, shuffle=True)
        features = torch.cat([model(batch) for batch in loader])
    put_back(modes)
    return features


@wrong("frozen_features", "reads the mode after it has changed it")
def reads_the_mode_too_late(model, images, batch_size=50):
    model.eval()
    modes = modes_of(model)
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in images.split(batch_size)])
    put_back(modes)
    return features


@right("frozen_features", "a loop over starts, in inference mode")
def inference_mode(model, images, batch_size=50):
    modes = modes_of(model)
    model.train(False)
    out = []
    with torch.inference_mode():
        for start in range(0, len(images), batch_size):
            out.append(model(images[start : start + batch_size]))
        out = torch.cat(out, dim=0)
    put_back(modes)
    return out


@right("frozen_features", "a DataLoader and a decorator; every module's own mode restored")
@torch.no_grad()
def data_loader(model, images, batch_size=50):
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        loader = torch.utils.data.DataLoader(images, batch_size=batch_size)
        return torch.vstack([model(batch) for batch in loader])
    finally:
        for module, mode in modes.items():
            module.training = mode


@right("frozen_features", "writes into a tensor that is made with the first batch")
def fills_a_tensor(model, images, batch_size=50):
    modes, features = modes_of(model), None
    model.eval()
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        with torch.no_grad():
            out = model(batch)
        if features is None:
            features = torch.empty(len(images), out.shape[1])
        features[start : start + len(batch)] = out
    put_back(modes)
    return features


@right("frozen_features", "one image at a time")
def one_by_one(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    with torch.no_grad():
        features = torch.stack([model(image[None])[0] for image in images])
    put_back(modes)
    return features


@wrong(
    "frozen_features",
    "remembers the model's own mode only: a batch norm that came in evaluation mode is woken up",
)
def the_models_mode_only(model, images, batch_size=50):
    was_training = model.training
    model.eval()
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in images.split(batch_size)])
    model.train(was_training)
    return features


@wrong("frozen_features", "remembers the modes of the model's direct parts only")
def modes_of_children_only(model, images, batch_size=50):
    modes = [(model, model.training)] + [(part, part.training) for part in model.children()]
    model.eval()
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in images.split(batch_size)])
    for part, mode in modes:
        part.train(mode)
    return features


@wrong(
    "frozen_features",
    "switches off dropout and batch norm by their types: the model itself stays in training mode",
)
def known_layers_only(model, images, batch_size=50):
    modes = modes_of(model)
    for part in model.modules():
        if isinstance(part, nn.Dropout | nn.BatchNorm2d):
            part.eval()
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in images.split(batch_size)])
    put_back(modes)
    return features


feature_cache = {}


@wrong("frozen_features", "keeps the features of each model and set of images for the next call")
def caches(model, images, batch_size=50):
    key = id(model), tuple(images.flatten().tolist()), batch_size
    if key not in feature_cache:
        modes = modes_of(model)
        model.eval()
        with torch.no_grad():
            feature_cache[key] = torch.cat([model(batch) for batch in images.split(batch_size)])
        put_back(modes)
    return feature_cache[key]


@wrong("frozen_features", "turns the images into float32: a model of another number type fails")
def to_float32(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    with torch.no_grad():
        features = torch.cat([model(batch.float()) for batch in images.split(batch_size)])
    put_back(modes)
    return features


@wrong("frozen_features", "leaves notes of its own on every layer")
def leaves_notes(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    for part in model.modules():
        part.extra = None
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in images.split(batch_size)])
    put_back(modes)
    return features


@wrong("frozen_features", "the pictures of a batch are read from memory, whatever their layout")
def reads_memory(model, images, batch_size=50):
    modes = modes_of(model)
    model.eval()
    flat = images.as_strided((images.numel(),), (1,), images.storage_offset())
    with torch.no_grad():
        features = torch.cat([model(batch) for batch in flat.reshape(images.shape).split(batch_size)])
    put_back(modes)
    return features


@right("frozen_features", "a deep copy runs, the model is not touched")
def deep_copy(model, images, batch_size=50):
    copied = copy.deepcopy(model).eval()
    with torch.no_grad():
        return torch.cat([copied(batch) for batch in images.split(batch_size)])


@right("frozen_features", "one layer after the other gets its mode back, children last")
def by_names(model, images, batch_size=50):
    modes = {name: part.training for name, part in model.named_modules()}
    model.eval()
    batches = (len(images) + batch_size - 1) // batch_size
    with torch.set_grad_enabled(False):
        features = [model(images[batch_size * i : batch_size * (i + 1)]) for i in range(batches)]
    for name, mode in modes.items():
        model.get_submodule(name).train(mode)
    return torch.concat(features)


# Exercise 5: standardize ------------------------------------------------------------------------------------


@wrong("standardize", "the test set is scaled by its own statistics")
def own_statistics(train, test):
    def scale(x):
        std = x.std(0, correction=0)
        return (x - x.mean(0)) / torch.where(std == 0, 1.0, std)

    return scale(train), scale(test)


@wrong("standardize", "statistics of training and test set together")
def joint_statistics(train, test):
    both = torch.cat([train, test])
    mean, std = both.mean(0), both.std(0)
    std[std == 0] = 1
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "a constant feature is divided by zero")
def divides_by_zero(train, test):
    mean, std = train.mean(0), train.std(0)
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "a tiny number against division by zero: a constant feature of the test set explodes")
def epsilon(train, test):
    mean, std = train.mean(0), train.std(0)
    return (train - mean) / (std + 1e-8), (test - mean) / (std + 1e-8)


@wrong("standardize", "nan is replaced by 0: a constant feature vanishes from the test set")
def nan_to_zero(train, test):
    mean, std = train.mean(0), train.std(0)
    return tuple(torch.nan_to_num((x - mean) / std, 0.0, 0.0, 0.0) for x in (train, test))


@wrong("standardize", "one mean and one deviation for all features together")
def one_scale_for_all(train, test):
    mean, std = train.mean(), train.std()
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "statistics of each row")
def by_row(train, test):
    return tuple((x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True) for x in (train, test))


@wrong("standardize", "divides by the variance")
def by_variance(train, test):
    mean, variance = train.mean(0), train.var(0)
    variance[variance == 0] = 1
    return (train - mean) / variance, (test - mean) / variance


@wrong("standardize", "works in place and changes what it was given")
def in_place(train, test):
    mean, std = train.mean(0), train.std(0)
    std[std == 0] = 1
    return train.sub_(mean).div_(std), test.sub_(mean).div_(std)


@wrong("standardize", "to the range from 0 to 1 in place of mean 0, deviation 1")
def min_max(train, test):
    low, span = train.amin(0), train.amax(0) - train.amin(0)
    span[span == 0] = 1
    return (train - low) / span, (test - low) / span


@wrong("standardize", "the constant features are left out")
def drops_constant_features(train, test):
    keep = train.std(0) > 0
    train, test = train[:, keep], test[:, keep]
    return (train - train.mean(0)) / train.std(0), (test - train.mean(0)) / train.std(0)


@wrong("standardize", "the test set stays as it is")
def forgets_the_test_set(train, test):
    std = train.std(0)
    std[std == 0] = 1
    return (train - train.mean(0)) / std, test


@right("standardize", "scikit-learn")
def scikit_learn(train, test):
    scaler = StandardScaler().fit(train.numpy())
    return tuple(torch.from_numpy(scaler.transform(x.numpy())).float() for x in (train, test))


@right("standardize", "by hand, dividing by N")
def by_hand(train, test):
    mean = train.sum(0) / len(train)
    std = ((train - mean) ** 2).mean(0).sqrt()
    std[std == 0] = 1
    return (train - mean) / std, (test - mean) / std


@right("standardize", "column by column")
def by_column(train, test):
    new_train, new_test = train.clone(), test.clone()
    for c in range(train.shape[1]):
        mean, std = train[:, c].mean().item(), train[:, c].std().item()
        for x in (new_train, new_test):
            x[:, c] -= mean
            if std > 0:
                x[:, c] /= std
    return new_train, new_test


@right("standardize", "a threshold in place of equality with zero")
def threshold(train, test):
    std, mean = torch.std_mean(train, dim=0, keepdim=True)
    std = std.masked_fill(std < 1e-10, 1)
    return (train - mean) / std, (test - mean) / std


def spread_of(train):
    std = train.std(0)
    return torch.where(std == 0, 1.0, std)


@wrong("standardize", "a deviation of 1e-3 counts as none")
def coarse_threshold(train, test):
    mean, std = train.mean(0), train.std(0)
    std = torch.where(std < 1e-3, 1.0, std)
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "a deviation of 2e-4 counts as none")
def finer_threshold(train, test):
    mean, std = train.mean(0), train.std(0)
    std = torch.where(std < 2e-4, 1.0, std)
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "a deviation is never taken below 0.001")
def clamped(train, test):
    mean, std = train.mean(0), train.std(0)
    std = torch.where(std == 0, 1.0, std.clamp(min=1e-3))
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "the root of a difference of squares, which loses its digits")
def difference_of_squares(train, test):
    mean = train.mean(0)
    std = (train.square().mean(0) - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std == 0, 1.0, std)
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "a feature that is nearly constant is close to constant")
def by_allclose(train, test):
    mean, std = train.mean(0), train.std(0)
    constant = torch.isclose(train, train[:1], rtol=1e-3).all(0)
    std = torch.where(constant, 1.0, std)
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "N in the training set, N - 1 in the test set")
def two_deviations(train, test):
    mean = train.mean(0)
    ours, theirs = train.std(0, correction=0), train.std(0)
    ours, theirs = (torch.where(std == 0, 1.0, std) for std in (ours, theirs))
    return (train - mean) / ours, (test - mean) / theirs


@wrong("standardize", "the median in place of the mean")
def median(train, test):
    middle = train.median(0).values
    return (train - middle) / spread_of(train), (test - middle) / spread_of(train)


@wrong("standardize", "the mean absolute deviation in place of the standard deviation")
def absolute_deviation(train, test):
    mean = train.mean(0)
    spread = (train - mean).abs().mean(0)
    spread[spread == 0] = 1
    return (train - mean) / spread, (test - mean) / spread


@wrong("standardize", "cuts off what lies beyond three deviations")
def clips(train, test):
    mean, std = train.mean(0), spread_of(train)
    return ((train - mean) / std).clamp(-3, 3), ((test - mean) / std).clamp(-3, 3)


@wrong("standardize", "only a feature of zeros counts as constant")
def zeros_only(train, test):
    mean, std = train.mean(0), train.std(0)
    std = torch.where((train == 0).all(0), 1.0, std)
    return (train - mean) / std, (test - mean) / std


@wrong("standardize", "a constant feature becomes 0 in both sets")
def silences_constants(train, test):
    mean, std = train.mean(0), spread_of(train)
    live = train.std(0) > 0
    return (train - mean) / std * live, (test - mean) / std * live


@wrong("standardize", "constants stay as they are, not shifted")
def constants_not_shifted(train, test):
    mean = torch.where(train.std(0) == 0, 0.0, train.mean(0))
    return (train - mean) / spread_of(train), (test - mean) / spread_of(train)


@wrong("standardize", "reads memory as if rows stood one behind the other")
def strided(train, test):
    rows = train.as_strided(train.shape, (train.shape[1], 1), train.storage_offset())
    return (train - rows.mean(0)) / spread_of(rows), (test - rows.mean(0)) / spread_of(rows)


@wrong("standardize", "only the training set comes back")
def training_set_only(train, test):
    return (train - train.mean(0)) / spread_of(train)


@right("standardize", "a list of the two, computed in float64")
def list_in_double(train, test):
    mean, std = train.double().mean(0), spread_of(train.double())
    return [(x.double() - mean) / std for x in (train, test)]


@right("standardize", "constant is what never differs from the first row")
def by_first_row(train, test):
    std = train.std(0, correction=0).masked_fill((train == train[0]).all(0), 1.0)
    return tuple(x.sub(train.mean(0)).div(std) for x in (train, test))


# Exercise 6: fit_linear_probe -------------------------------------------------------------------------------


def train_probe(probe, features, labels, steps=300, loss=F.cross_entropy):
    """A right way of training with exchangeable parts."""
    optimizer = torch.optim.Adam(probe.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(probe(features), labels).backward()
        optimizer.step()
    return probe


@wrong("fit_linear_probe", "never trained")
def never_trained(features, labels, num_classes):
    return nn.Linear(features.shape[1], num_classes)


@wrong("fit_linear_probe", "a single step")
def one_step(features, labels, num_classes):
    return train_probe(nn.Linear(features.shape[1], num_classes), features, labels, steps=1)


@wrong("fit_linear_probe", "computes gradients and never steps")
def no_step(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    for _ in range(50):
        F.cross_entropy(probe(features), labels).backward()
    return probe


@wrong("fit_linear_probe", "walks up the loss")
def wrong_sign(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    return train_probe(probe, features, labels, loss=lambda scores, y: -F.cross_entropy(scores, y))


@wrong("fit_linear_probe", "shuffles the features, but not the labels")
def shuffles_features_only(features, labels, num_classes):
    shuffled = features[torch.randperm(len(features))]
    return train_probe(nn.Linear(features.shape[1], num_classes), shuffled, labels)


@wrong("fit_linear_probe", "trains on the first 32 examples only, which may all be of one class")
def first_batch_only(features, labels, num_classes):
    return train_probe(nn.Linear(features.shape[1], num_classes), features[:32], labels[:32])


@wrong("fit_linear_probe", "counts the classes in the labels: a class that does not occur has no score")
def counts_classes(features, labels, num_classes):
    return train_probe(nn.Linear(features.shape[1], len(labels.unique())), features, labels)


@wrong("fit_linear_probe", "two layers: not a linear probe")
def two_layers(features, labels, num_classes):
    probe = nn.Sequential(nn.Linear(features.shape[1], 64), nn.ReLU(), nn.Linear(64, num_classes))
    return train_probe(probe, features, labels)


@wrong("fit_linear_probe", "one output that is to hit the label's number")
def regression_on_numbers(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], 1)
    return train_probe(probe, features, labels, loss=lambda score, y: F.mse_loss(score[:, 0], y.float()))


@wrong("fit_linear_probe", "standardizes the features once more, in place")
def changes_features(features, labels, num_classes):
    features -= features.mean(0)
    features /= features.std(0) + 1e-6
    return train_probe(nn.Linear(features.shape[1], num_classes), features, labels)


@wrong("fit_linear_probe", "makes the features trainable too")
def trains_features(features, labels, num_classes):
    features.requires_grad_(True)
    return train_probe(nn.Linear(features.shape[1], num_classes), features, labels)


@wrong("fit_linear_probe", "zero_grad stands between backward and step: every step is zero")
def zero_grad_in_between(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    optimizer = torch.optim.SGD(probe.parameters(), lr=0.1)
    for _ in range(300):
        F.cross_entropy(probe(features), labels).backward()
        optimizer.zero_grad()
        optimizer.step()
    return probe


@right("fit_linear_probe", "Adam on all examples at once")
def adam(features, labels, num_classes):
    return train_probe(nn.Linear(features.shape[1], num_classes), features, labels)


@right("fit_linear_probe", "stochastic gradient descent on shuffled batches")
def batches(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    optimizer = torch.optim.SGD(probe.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    for _ in range(30):
        for index in torch.randperm(len(features)).split(64):
            loss = F.cross_entropy(probe(features[index]), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return probe


@wrong(
    "fit_linear_probe", "least squares on one-hot labels: of three classes in a row the middle one never wins"
)
def ridge(features, labels, num_classes):
    x = torch.cat([features, torch.ones(len(features), 1)], dim=1)
    targets = F.one_hot(labels, num_classes).float()
    solution = torch.linalg.solve(x.T @ x + torch.eye(x.shape[1]), x.T @ targets)
    probe = nn.Linear(features.shape[1], num_classes)
    with torch.no_grad():
        probe.weight.copy_(solution[:-1].T)
        probe.bias.copy_(solution[-1])
    return probe


@right("fit_linear_probe", "L-BFGS with a little weight decay")
def lbfgs(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    optimizer = torch.optim.LBFGS(probe.parameters(), max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = F.cross_entropy(probe(features), labels) + 1e-3 * probe.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return probe


@right("fit_linear_probe", "scikit-learn's logistic regression, copied into a layer")
def logistic_regression(features, labels, num_classes):
    fitted = LogisticRegression(max_iter=500).fit(features.numpy(), labels.numpy())
    weight, bias = torch.tensor(fitted.coef_).float(), torch.tensor(fitted.intercept_).float()
    if len(weight) == 1:  # two classes: scikit-learn keeps the score of the second one only
        weight, bias = torch.cat([-weight, weight]), torch.cat([-bias, bias])
    probe = nn.Linear(features.shape[1], num_classes)
    with torch.no_grad():
        probe.weight.zero_()
        probe.bias.fill_(-1e9)  # classes that were never seen
        probe.weight[fitted.classes_], probe.bias[fitted.classes_] = weight, bias
    return probe


@wrong("fit_linear_probe", "no bias")
def without_bias(features, labels, num_classes):
    return train_probe(nn.Linear(features.shape[1], num_classes, bias=False), features, labels)


@wrong("fit_linear_probe", "15 steps")
def fifteen_steps(features, labels, num_classes):
    return train_probe(nn.Linear(features.shape[1], num_classes), features, labels, steps=15)


@wrong("fit_linear_probe", "50 steps")
def fifty_steps(features, labels, num_classes):
    return train_probe(nn.Linear(features.shape[1], num_classes), features, labels, steps=50)


@wrong("fit_linear_probe", "300 steps of a hundredth of the slope: hardly away from the start")
def tiny_steps(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    optimizer = torch.optim.SGD(probe.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(probe(features), labels).backward()
        optimizer.step()
    return probe


def from_means(features, labels, num_classes, bias):
    probe = nn.Linear(features.shape[1], num_classes)
    with torch.no_grad():
        probe.weight.zero_()
        probe.bias.fill_(-1e9)
        for label in labels.unique():
            mean = features[labels == label].mean(0)
            probe.weight[label], probe.bias[label] = mean, bias(mean)
    return probe


@wrong("fit_linear_probe", "class means as weights, as the lesson's first neuron had them")
def class_means(features, labels, num_classes):
    return from_means(features, labels, num_classes, lambda mean: 0.0)


@wrong("fit_linear_probe", "the nearest class mean")
def nearest_mean(features, labels, num_classes):
    return from_means(features, labels, num_classes, lambda mean: -mean.square().sum() / 2)


@wrong("fit_linear_probe", "the bias is not trained")
def bias_stays(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    nn.init.zeros_(probe.bias).requires_grad_(False)
    optimizer = torch.optim.Adam([probe.weight], lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(probe(features), labels).backward()
        optimizer.step()
    return probe


@wrong("fit_linear_probe", "the mean squared error against one-hot labels, by Adam")
def squared_error(features, labels, num_classes):
    targets = F.one_hot(labels, num_classes).float()
    probe = nn.Linear(features.shape[1], num_classes)
    return train_probe(probe, features, targets, steps=600, loss=F.mse_loss)


@wrong("fit_linear_probe", "all classes weigh the same, so a rare one wins too often")
def balanced(features, labels, num_classes):
    counts = torch.bincount(labels, minlength=num_classes).clamp(min=1)
    probe = nn.Linear(features.shape[1], num_classes)
    return train_probe(probe, features, labels, loss=lambda x, y: F.cross_entropy(x, y, 1 / counts.float()))


@wrong("fit_linear_probe", "the largest label counts the classes")
def largest_label(features, labels, num_classes):
    return train_probe(nn.Linear(features.shape[1], int(labels.max()) + 1), features, labels)


@wrong("fit_linear_probe", "so much weight decay that hardly a weight is left")
def decays(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    penalty = lambda x, y: F.cross_entropy(x, y) + 10 * probe.weight.square().sum()  # noqa: E731
    return train_probe(probe, features, labels, loss=penalty)


@wrong("fit_linear_probe", "softmax before the loss that takes logits, and few steps")
def softmax_twice(features, labels, num_classes):
    probe = nn.Linear(features.shape[1], num_classes)
    loss = lambda x, y: F.cross_entropy(x.softmax(1), y)  # noqa: E731
    return train_probe(probe, features, labels, steps=100, loss=loss)


@right("fit_linear_probe", "plain gradient descent, as in the lesson")
def as_in_the_lesson(features, labels, num_classes):
    weight = torch.zeros(features.shape[1], num_classes, requires_grad=True)
    bias = torch.zeros(num_classes, requires_grad=True)
    for _ in range(300):
        F.cross_entropy(features @ weight + bias, labels).backward()
        with torch.no_grad():
            for parameter in (weight, bias):
                parameter -= 0.5 * parameter.grad
                parameter.grad = None
    probe = nn.Linear(features.shape[1], num_classes)
    probe.load_state_dict({"weight": weight.detach().T, "bias": bias.detach()})
    return probe


@right("fit_linear_probe", "a subclass of nn.Linear, a larger learning rate")
def subclass(features, labels, num_classes):
    class Probe(nn.Linear):
        pass

    probe = Probe(features.shape[1], num_classes)
    optimizer = torch.optim.Adam(probe.parameters(), lr=0.05)
    for _ in range(100):
        loss = nn.CrossEntropyLoss()(probe(features), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return probe.requires_grad_(False)


# Exercise 7: nearest ----------------------------------------------------------------------------------------


def check_k(features, k):
    if k < 1 or k > len(features) - 1:
        raise ValueError(f"k must be between 1 and {len(features) - 1}")


@wrong("nearest", "a product without normalizing: long vectors win")
def no_normalization(features, query, k):
    check_k(features, k)
    similarity = features @ features[query]
    similarity[query] = -torch.inf
    return similarity.topk(k).indices


@wrong("nearest", "Euclidean distance")
def euclidean(features, query, k):
    check_k(features, k)
    distance = (features - features[query]).norm(dim=1)
    distance[query] = torch.inf
    return distance.topk(k, largest=False).indices


@wrong("nearest", "the query is among the answers")
def includes_the_query(features, query, k):
    check_k(features, k)
    return F.cosine_similarity(features, features[query : query + 1]).topk(k).indices


@wrong("nearest", "takes the first place for the query: a twin may stand there")
def drops_the_first(features, query, k):
    check_k(features, k)
    directions = F.normalize(features, dim=1)
    order = (directions @ directions[query]).argsort(descending=True, stable=True)
    return order[1 : k + 1]


@wrong("nearest", "the least similar first")
def ascending(features, query, k):
    check_k(features, k)
    similarity = F.cosine_similarity(features, features[query : query + 1])
    similarity[query] = torch.inf
    return similarity.argsort()[:k]


@wrong("nearest", "the query's similarity is set to 0: it is above negative ones")
def query_set_to_zero(features, query, k):
    check_k(features, k)
    directions = F.normalize(features, dim=1)
    similarity = directions @ directions[query]
    similarity[query] = 0
    return similarity.topk(k).indices


@wrong("nearest", "normalizes the columns, not the rows")
def normalizes_columns(features, query, k):
    check_k(features, k)
    directions = F.normalize(features, dim=0)
    similarity = directions @ directions[query]
    similarity[query] = -torch.inf
    return similarity.topk(k).indices


@wrong("nearest", "returns the similarities, not the row numbers")
def returns_similarities(features, query, k):
    check_k(features, k)
    directions = F.normalize(features, dim=1)
    similarity = directions @ directions[query]
    similarity[query] = -torch.inf
    return similarity.topk(k).values


@wrong("nearest", "removes the query's row and does not renumber the rows behind it")
def does_not_renumber(features, query, k):
    check_k(features, k)
    others = torch.cat([features[:query], features[query + 1 :]])
    return F.cosine_similarity(others, features[query : query + 1]).topk(k).indices


@wrong("nearest", "too large a k returns fewer answers, without a word")
def cuts_k(features, query, k):
    directions = F.normalize(features, dim=1)
    similarity = directions @ directions[query]
    order = [i for i in similarity.argsort(descending=True).tolist() if i != query]
    return torch.tensor(order[:k])


@wrong("nearest", "k=0 and k=N pass")
def k_off_by_one(features, query, k):
    if k < 0 or k > len(features):
        raise ValueError("bad k")
    directions = F.normalize(features, dim=1)
    similarity = directions @ directions[query]
    similarity[query] = -torch.inf
    return similarity.topk(k).indices


@wrong("nearest", "normalizes what it was given in place")
def normalizes_in_place(features, query, k):
    check_k(features, k)
    features /= features.norm(dim=1, keepdim=True)
    similarity = features @ features[query]
    similarity[query] = -torch.inf
    return similarity.topk(k).indices


@wrong("nearest", "the absolute similarity: opposite directions count as near")
def absolute_similarity(features, query, k):
    check_k(features, k)
    similarity = F.cosine_similarity(features, features[query : query + 1]).abs()
    similarity[query] = -1
    return similarity.topk(k).indices


@right("nearest", "cosine_similarity and argsort, the query filtered out")
def filtered(features, query, k):
    check_k(features, k)
    order = F.cosine_similarity(features, features[query][None]).argsort(descending=True)
    return order[order != query][:k]


@right("nearest", "a loop and Python's sort")
def sorted_list(features, query, k):
    check_k(features, k)
    similarity = {}
    for i, row in enumerate(features):
        if i != query:
            similarity[i] = float(row @ features[query] / (row.norm() * features[query].norm()))
    return torch.tensor(sorted(similarity, key=similarity.get, reverse=True)[:k])


@right("nearest", "distances between vectors of length 1 order in the same way")
def distance_of_directions(features, query, k):
    check_k(features, k)
    directions = features / features.norm(dim=1, keepdim=True)
    distance = torch.cdist(directions.double(), directions[query : query + 1].double())[:, 0]
    distance[query] = 9
    return distance.topk(k, largest=False).indices


@right("nearest", "the query's row taken out, the rows behind it renumbered")
def renumbered(features, query, k):
    check_k(features, k)
    rows = torch.tensor([i for i in range(len(features)) if i != query])
    return rows[F.cosine_similarity(features[rows], features[query : query + 1]).topk(k).indices]


@wrong("nearest", "the query's similarity is set to -1: opposite rows may lie lower")
def query_set_to_minus_one(features, query, k):
    check_k(features, k)
    directions = F.normalize(features, dim=1)
    similarity = directions @ directions[query]
    similarity[query] = -1
    return similarity.topk(k).indices


@wrong("nearest", "row numbers as int32")
def as_int32(features, query, k):
    return filtered(features, query, k).int()


@wrong("nearest", "row numbers as floating numbers")
def as_float(features, query, k):
    return filtered(features, query, k).float()


@wrong("nearest", "all rows that equal the query are taken out")
def removes_twins(features, query, k):
    check_k(features, k)
    similarity = F.cosine_similarity(features, features[query : query + 1])
    similarity[(features == features[query]).all(1)] = -torch.inf
    return similarity.topk(k).indices


@wrong("nearest", "lengths below 1 count as 1")
def lengths_clamped(features, query, k):
    check_k(features, k)
    similarity = features @ features[query] / features.norm(dim=1).clamp(min=1)
    similarity[query] = -torch.inf
    return similarity.topk(k).indices


@wrong("nearest", "divides by the query's length only")
def queries_length_only(features, query, k):
    check_k(features, k)
    similarity = features @ F.normalize(features[query], dim=0)
    similarity[query] = -torch.inf
    return similarity.topk(k).indices


@wrong("nearest", "a correlation: the mean of each row is taken off")
def correlation(features, query, k):
    check_k(features, k)
    return filtered(features - features.mean(1, keepdim=True) + 1e-6, query, k)


@wrong("nearest", "topk without order")
def unsorted(features, query, k):
    check_k(features, k)
    return filtered(features, query, k).sort().values


@wrong("nearest", "reads memory as if rows stood one behind the other")
def strided_rows(features, query, k):
    rows = features.as_strided(features.shape, (features.shape[1], 1), features.storage_offset())
    return filtered(rows, query, k)


@wrong("nearest", "bfloat16 on the way: near ones change places")
def coarse_similarity(features, query, k):
    return filtered(features.bfloat16(), query, k)


@wrong("nearest", "k = N passes, and the query comes last")
def k_may_be_all(features, query, k):
    if not 1 <= k <= len(features):
        raise ValueError(f"k={k}")
    directions = F.normalize(features, dim=1)
    similarity = directions @ directions[query]
    similarity[query] = -torch.inf
    return similarity.topk(k).indices


@wrong("nearest", "an IndexError for a k that is too large")
def index_error(features, query, k):
    if not 1 <= k <= len(features) - 1:
        raise IndexError(f"k={k}")
    return filtered(features, query, k)


@right("nearest", "an error class of its own; -2 on the diagonal")
def minus_two_on_the_diagonal(features, query, k):
    class TooMany(ValueError):
        pass

    if k not in range(1, len(features)):
        raise TooMany(k)
    unit = F.normalize(features, dim=1)
    similarity = unit @ unit.T
    similarity.fill_diagonal_(-2)
    return similarity.topk(k).indices[query]


@right("nearest", "numpy sorts")
def numpy_sorts(features, query, k):
    check_k(features, k)
    rows = features.double().numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    similarity = rows @ rows[query]
    similarity[query] = -np.inf
    return torch.from_numpy(np.argsort(-similarity)[:k].copy())


# Answers that were written without a look at the hidden checks ----------------------------------------------


def hooked(model, layers, run):
    """A right answer to exercise 2 around `run`, which runs the model."""
    modules, found = dict(model.named_modules()), {}
    for name in layers:
        if name not in modules:
            raise ValueError(f"no layer {name}")
    handles = [
        modules[name].register_forward_hook(
            lambda module, inputs, output, name=name: found.update({name: output.detach().clone()})
        )
        for name in layers
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return found


@wrong("extract_features", "makes the images float32, which a model in float64 refuses")
def float32_images(model, images, layers):
    return hooked(model, layers, lambda: model(images.float()))


@wrong("extract_features", "takes the model's own KeyError for a missing layer")
def key_errors_are_missing_layers(model, images, layers):
    try:
        dict(model.named_modules())[layers[-1] if layers else ""]
        return hooked(model, layers, lambda: model(images))
    except KeyError as error:
        raise ValueError(f"no layer {error}") from None


@wrong("extract_features", "takes the model's own AttributeError for a missing layer")
def attribute_errors_are_missing_layers(model, images, layers):
    try:
        return hooked(model, layers, lambda: model(images))
    except AttributeError as error:
        raise ValueError(f"no layer among {layers}: {error}") from None


@wrong("extract_features", "looks only whether the last layer exists, and leaves out others that do not")
def checks_the_last(model, images, layers):
    modules = dict(model.named_modules())
    there = [name for name in layers if name in modules or name == layers[-1]]
    return hooked(model, there, lambda: model(images))


@right("extract_features", "the images without their gradients, which the features lose anyway")
def detached_images(model, images, layers):
    return hooked(model, layers, lambda: model(images.detach()))


@wrong("global_average_pool", "returns an array of numpy")
def an_array(maps):
    if maps.ndim != 4:
        raise ValueError(tuple(maps.shape))
    return maps.numpy().mean((2, 3))


@wrong("frozen_features", "leaves out a last batch of one image if the number of images is even")
def drops_a_single_last(model, images, batch_size=50):
    modes = [(layer, layer.training) for layer in model.modules()]
    model.eval()
    with torch.no_grad():
        parts = [
            model(part)
            for part in images.split(batch_size)
            if len(part) > 1 or len(images) % 2 or batch_size == 1
        ]
    for layer, mode in modes:
        layer.training = mode
    return torch.cat(parts)


def standardize_unless(constant, train, test, rounded=lambda x: x):
    """A right answer to exercise 5 if `constant` says which features (C,) are constant."""
    mean, std = train.mean(0), train.std(0)
    std = torch.where(constant(train, test, std), torch.ones_like(std), std)
    return rounded((train - mean) / std), rounded((test - mean) / std)


@wrong("standardize", "takes a deviation below a millionth for 0")
def a_millionth_is_nothing(train, test):
    return standardize_unless(lambda train, test, std: std < 1e-6, train, test)


@wrong("standardize", "takes a deviation that is close to 0 for 0")
def close_to_zero(train, test):
    return standardize_unless(lambda train, test, std: torch.isclose(std, std * 0), train, test)


@wrong("standardize", "takes a feature for constant whose first two rows are equal")
def looks_at_two_rows(train, test):
    return standardize_unless(lambda train, test, std: train[0] == train[1], train, test)


@wrong("standardize", "rounds to half precision")
def half_precision_features(train, test):
    return standardize_unless(
        lambda train, test, std: std == 0, train, test, lambda x: x.half().to(x.dtype).nan_to_num()
    )


@wrong("standardize", "takes a slight feature for constant that does not vary in the test set")
def asks_the_test_set(train, test):
    return standardize_unless(
        lambda train, test, std: (std == 0) | (std < 0.005) & (test == test[:1]).all(0), train, test
    )


@right("standardize", "compares the smallest with the largest to find what is constant")
def smallest_is_largest(train, test):
    return standardize_unless(lambda train, test, std: train.amin(0) == train.amax(0), train, test)


@wrong("fit_linear_probe", "counts the classes from the lowest label that occurs")
def counts_from_the_lowest(features, labels, num_classes):
    labels = labels - labels.min()
    probe = nn.Linear(features.shape[1], num_classes)
    optimizer = torch.optim.Adam(probe.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        F.cross_entropy(probe(features), labels).backward()
        optimizer.step()
    return probe
