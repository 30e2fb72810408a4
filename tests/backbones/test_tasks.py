"""Training: frozen is frozen, learning rates arrive, the history tells, and Ctrl+C is only Ctrl+C."""

import contextlib
import logging
import re
import signal
import warnings
import weakref

import pytest
import pytorch_lightning as pl
import torch
from small_tasks import (
    METRICS,
    NOTHING,
    Batches,
    Colors,
    Deeper,
    Prepared,
    Small,
    Squares,
    changed,
    classification,
    detection,
    multi_label,
    segmentation,
    snapshot,
    target,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from backbones import Network
from backbones.data.scenes import Scenes
from backbones.heads import ClassificationHead, Detector, SegmentationHead
from backbones.tasks import (
    Classification,
    Detection,
    MultiLabelClassification,
    Segmentation,
    Task,
    rate_factor,
)
from backbones.training import evaluate, fit

pytestmark = pytest.mark.slow  # most of them train

EVERY_TASK = [(make, Colors if make is classification else Squares) for make in METRICS]


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    backbone = Small()
    return Network(backbone, ClassificationHead(backbone.channels, num_classes=3))


def test_it_learns_and_tells_how(network):
    task = Classification(network, num_classes=3, lr=0.05)
    history = fit(task, Colors(), epochs=4)
    assert len(history) == 4
    for epoch in history:
        assert set(epoch) == {"train_loss", "train_accuracy", "val_loss", "val_accuracy"}
        assert all(type(value) is float for value in epoch.values())
        assert 0 <= epoch["train_accuracy"] <= 1
    assert history[-1]["val_loss"] < history[0]["val_loss"]
    assert history[-1]["val_accuracy"] == 1.0
    assert evaluate(task, Colors())["test_accuracy"] == 1.0


def test_each_epoch_s_figures_are_its_own(network):
    """Accuracy and loss of the last epoch, worked out again: nothing of earlier epochs is mixed in."""
    task = Classification(network, num_classes=3, lr=0.01)
    data = Colors()
    last = fit(task, data, epochs=2)[-1]
    with torch.no_grad():
        logits = task(data.images)
    assert last["val_loss"] == pytest.approx(
        float(nn.functional.cross_entropy(logits, data.labels)), rel=1e-4
    )
    assert last["val_accuracy"] == pytest.approx(float((logits.argmax(1) == data.labels).float().mean()))


class Watched(Classification):
    """Notes, at each step, which part is in training mode and which part has gradients."""

    def training_step(self, batch, batch_index):
        parts = self.network.backbone.body, self.network.head
        self.modes = [*getattr(self, "modes", []), tuple(part.training for part in parts)]
        return super().training_step(batch, batch_index)

    def on_before_optimizer_step(self, optimizer):
        parts = self.network.backbone, self.network.head
        found = tuple(any(p.grad is not None for p in part.parameters()) for part in parts)
        self.gradients = [*getattr(self, "gradients", []), found]


@pytest.mark.parametrize("frozen", [True, False])
def test_only_a_frozen_backbone_is_in_eval_mode_and_without_gradients(network, frozen):
    network.eval()
    task = Watched(network, num_classes=3, freeze_backbone=frozen)
    fit(task, Colors(), epochs=2)  # validation between the epochs switches modes, too
    assert task.modes == [(not frozen, True)] * 8
    assert task.gradients == [(not frozen, True)] * 8


class CallsTrain(pl.Callback):
    """What a callback from elsewhere may do; it does not know that a part of the network is frozen."""

    def on_train_batch_start(self, trainer, pl_module, *_):
        pl_module.network.train()

    on_validation_batch_start = on_train_batch_start


class WithCallback(Classification):
    def configure_callbacks(self):
        return [CallsTrain()]


class PastForward(WithCallback):
    def training_step(self, batch, batch_index):
        images, labels = batch
        return self.loss(self.network(images), labels)


class CallsTrainItself(Classification):
    def on_train_batch_start(self, batch, batch_index):
        self.network.train()

    def training_step(self, batch, batch_index):
        for part in self.network.modules():
            part.train()
        return super().training_step(batch, batch_index)


@pytest.fixture
def modes(network) -> list[bool]:
    """Whether any part of the backbone was in training mode, each time that it was used."""
    noted = []
    network.backbone.body.register_forward_hook(
        lambda body, *_: noted.append(any(part.training for part in body.modules()))
    )
    return noted


@pytest.mark.parametrize("kind", [WithCallback, PastForward, CallsTrainItself])
def test_a_frozen_backbone_stays_frozen_whoever_calls_train(network, modes, kind):
    before = snapshot(network.backbone)
    fit(kind(network, num_classes=3, freeze_backbone=True), Colors(), epochs=2)
    assert changed(network.backbone, before) == set()
    assert len(modes) >= 16
    assert not any(modes)


def test_a_frozen_backbone_stays_frozen_in_a_loop_written_by_hand(network, modes):
    task = Classification(network, num_classes=3, freeze_backbone=True)
    before = snapshot(network.backbone)
    task.network.train()
    task(torch.rand(4, 3, 8, 8))
    task.train()
    task.network(torch.rand(4, 3, 8, 8))
    assert changed(network.backbone, before) == set()
    assert modes == [False, False]


@pytest.mark.parametrize("probe_is_made_first", [True, False])
def test_two_tasks_on_one_backbone_keep_their_own_word(network, probe_is_made_first):
    """First a linear probe, then fine-tuning, as lessons do; but both made before either is fitted."""
    made = {
        frozen: Watched(network, num_classes=3, freeze_backbone=frozen)
        for frozen in (probe_is_made_first, not probe_is_made_first)
    }
    before = snapshot(network.backbone)
    fit(made[True], Colors(), epochs=1)
    assert changed(network.backbone, before) == set()
    assert made[True].gradients == [(False, True)] * 4
    fit(made[False], Colors(), epochs=1)
    assert changed(network.backbone, before) == set(before)


def test_a_backbone_learning_rate_of_zero_is_taken_literally(network):
    before = snapshot(network.backbone)
    fit(Classification(network, num_classes=3, backbone_lr=0.0), Colors(), epochs=1)
    assert changed(network.backbone, before) == {
        "body.1.running_mean",
        "body.1.running_var",
        "body.1.num_batches_tracked",
    }


def test_a_falling_rate_rises_for_a_tenth_and_falls_to_nothing():
    factors = [rate_factor(step, 100) for step in range(101)]
    assert factors[:10] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    assert factors[9:] == sorted(factors[9:], reverse=True)
    # Half a cosine: at its middle, 45.5 steps after the top, half the rate is left; its ends are flat.
    assert (factors[54] + factors[55]) / 2 == pytest.approx(0.5)
    assert factors[9] - factors[10] < 0.01 > factors[99] - factors[100]
    assert factors[100] == pytest.approx(0)


@pytest.mark.parametrize("steps", [1, 2, 5, 15])
def test_however_short_the_training_each_batch_is_learned_from(steps):
    assert all(0 < rate_factor(step, steps) <= 1 for step in range(steps))
    assert max(rate_factor(step, steps) for step in range(steps)) == 1
    assert rate_factor(steps, steps) == pytest.approx(0)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_falling_rate_reaches_head_and_backbone_at_each_step(network, frozen):
    class Noting(Classification):
        def on_before_optimizer_step(self, optimizer):
            self.seen = [*getattr(self, "seen", []), [group["lr"] for group in optimizer.param_groups]]

    options = {"lr": 0.5, "backbone_lr": 0.2, "freeze_backbone": frozen}
    task = Noting(network, num_classes=3, falling_rate=True, **options)
    fit(task, Colors(), epochs=3)  # four batches each
    bases = [0.5] if frozen else [0.5, 0.2]
    expected = [[base * rate_factor(step, 12) for base in bases] for step in range(12)]
    assert len(task.seen) == 12
    torch.testing.assert_close(torch.tensor(task.seen), torch.tensor(expected))
    task.seen = []
    fit(task, Colors(), epochs=1)
    assert task.seen[0] == pytest.approx([base * rate_factor(0, 4) for base in bases]), "it starts anew"


def test_what_a_subclass_adds_beside_the_network_learns_like_a_head(network):
    class Helped(Classification):
        def __init__(self, network: Network):
            super().__init__(network, num_classes=3, lr=0.5)
            self.helper = nn.Linear(3, 3)

        def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
            return super().loss(self.helper(logits), labels)

    task = Helped(network)
    rest = task.configure_optimizers().param_groups[0]
    assert {id(p) for p in rest["params"]} == {
        id(p) for p in [*network.head.parameters(), *task.helper.parameters()]
    }
    before = snapshot(task.helper)
    fit(task, Colors(), epochs=1)
    assert changed(task.helper, before) == set(before)


@pytest.mark.parametrize("stops", [False, True])
def test_weights_lie_with_channels_last_only_while_they_learn(network, stops):
    class Looking(Classification):
        def training_step(self, batch, batch_index):
            weight = self.network.backbone.body[0].weight
            self.seen = weight.is_contiguous(memory_format=torch.channels_last), weight.is_contiguous()
            if stops:
                raise ZeroDivisionError
            return super().training_step(batch, batch_index)

    task = Looking(network, num_classes=3)
    with pytest.raises(ZeroDivisionError) if stops else contextlib.nullcontext():
        fit(task, Colors(), epochs=1)
    assert task.seen == (True, False)
    assert all(value.is_contiguous() for value in network.state_dict().values())


def test_nothing_is_kept_that_was_needed_for_learning_only(network):
    """Gradients and the optimizer's averages are three times as large as the weights."""

    class Remembering(Classification):
        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            self.optimizer = weakref.ref(optimizer)
            return optimizer

    task = Remembering(network, num_classes=3)
    fit(task, Colors(), epochs=1)
    assert task.optimizer() is None
    assert all(value.grad is None for value in task.parameters())


def test_the_task_is_left_in_eval_mode(network):
    task = Classification(network, num_classes=3)
    fit(task, Colors(), epochs=1)
    assert not any(part.training for part in task.modules())
    evaluate(task, Colors())
    assert not any(part.training for part in task.modules())


def test_evaluate_measures_in_eval_mode_over_the_whole_test_set(network):
    """Random weights, so that the accuracy is neither 0 nor 1."""
    network.train()
    task = Classification(network, num_classes=3)
    data = Colors()
    before = snapshot(network)
    measured = evaluate(task, data)
    assert changed(network, before) == set()
    with torch.no_grad():
        logits = network.eval()(data.images)
    accuracy = float((logits.argmax(1) == data.labels).float().mean())
    assert 0 < accuracy < 1
    assert set(measured) == {"test_loss", "test_accuracy"}
    assert measured["test_accuracy"] == pytest.approx(accuracy)
    assert measured["test_loss"] == pytest.approx(float(nn.functional.cross_entropy(logits, data.labels)))


def test_the_screen_shows_one_bar_and_no_file_appears(network, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logged = []
    log = logging.Handler()
    log.emit = logged.append
    logging.getLogger("pytorch_lightning").addHandler(log)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        task = Classification(network, num_classes=3)
        fit(task, Colors(), epochs=2)
        evaluate(task, Colors())
    logging.getLogger("pytorch_lightning").removeHandler(log)
    screen = capfd.readouterr()
    assert screen.err == ""
    assert [str(warning.message) for warning in shown] == []
    assert [record.getMessage() for record in logged] == []
    states = screen.out.strip().split("\r")
    assert all(re.fullmatch(r"training: +\d+%\|.*", state) for state in states), states
    assert re.match(r"training: 100%\|.*\| 8/8 ", states[-1])
    assert max(map(len, states)) <= 80
    assert list(tmp_path.iterdir()) == []


class Sets(pl.LightningDataModule):
    """Two batches of four to train, validate and test, unless a loader is given instead."""

    def __init__(self, **loaders):
        super().__init__()
        self.loaders = loaders

    def loader(self, name: str) -> DataLoader:
        images, labels = torch.rand(8, 3, 8, 8), torch.arange(8) % 3
        return self.loaders.get(name, lambda: DataLoader(TensorDataset(images, labels), batch_size=4))()

    def train_dataloader(self) -> DataLoader:
        return self.loader("training")

    def val_dataloader(self) -> DataLoader:
        return self.loader("validation")

    def test_dataloader(self) -> DataLoader:
        return self.loader("test")


class Stream(IterableDataset):
    """Nobody knows how many there are."""

    def __init__(self, pairs: list):
        self.pairs = pairs

    def __iter__(self):
        return iter(self.pairs)


PAIRS = [(torch.rand(3, 8, 8), label) for label in (0, 1, 2)]
NO_BATCH = {
    "no examples": (lambda: DataLoader([], 4), "set is empty"),
    "nothing to shuffle": (lambda: DataLoader([], 4, shuffle=True), "set is empty"),
    "an empty stream": (lambda: DataLoader(Stream([]), 4), "set is empty"),
    "a list of no batches": (lambda: [], "set is empty"),
    "no full batch": (
        lambda: DataLoader(PAIRS, 4, drop_last=True),
        "set of 3 .* 4, and drop_last=True leaves",
    ),
}


# Only training shuffles; and that a stream is empty shows when it is read, for validation after an epoch.
NOT_THERE = [
    ("validation", "nothing to shuffle"),
    ("validation", "an empty stream"),
    ("test", "nothing to shuffle"),
]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (name, why)
        for name in ("training", "validation", "test")
        for why in NO_BATCH
        if (name, why) not in NOT_THERE
    ],
)
def test_a_set_that_gives_no_batch_is_refused_before_anything_is_learned(network, name, why):
    loader, sentence = NO_BATCH[why]
    task, data = Classification(network, num_classes=3), Sets(**{name: loader})
    before = snapshot(network)
    with pytest.raises(ValueError, match=rf"^the {name} {sentence}"):
        evaluate(task, data) if name == "test" else fit(task, data, epochs=2)
    assert changed(network, before) == set()
    assert not any(part.training for part in task.modules()) or name == "test"


def test_what_is_not_needed_may_be_empty(network):
    nothing, task = NO_BATCH["no examples"][0], Classification(network, num_classes=3)
    (history,) = fit(task, Sets(validation=nothing, test=nothing), epochs=1, validate=False)
    assert set(history) == {"train_loss", "train_accuracy"}
    assert set(evaluate(task, Sets(training=nothing, validation=nothing))) == {"test_loss", "test_accuracy"}
    assert len(fit(task, Sets(training=lambda: DataLoader(PAIRS, 2, drop_last=True)), epochs=1)) == 1


def test_a_stream_of_unknown_length_trains(network, capfd):
    data = Sets(training=lambda: DataLoader(Stream(PAIRS), batch_size=2))
    assert len(fit(Classification(network, num_classes=3), data, epochs=2)) == 2
    assert "training: 4batch" in capfd.readouterr().out


def test_training_again_goes_on_from_the_weights_as_they_are(network):
    class Starting(Classification):
        def on_train_start(self):
            self.start = snapshot(self.network)

    task = Starting(network, num_classes=3)
    fit(task, Colors(), epochs=1)
    learned = snapshot(network)
    assert changed(network, task.start) == set(learned)
    fit(task, Colors(), epochs=1)
    assert all(torch.equal(task.start[key], learned[key]) for key in learned)


@pytest.fixture
def ctrl_c():
    """Ctrl+C does what it does in a notebook, whatever runs the tests; gives its handler."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_arrives_and_leaves_everything_usable(network, ctrl_c, capfd):
    class Impatient(Classification):
        steps = 0

        def training_step(self, batch, batch_index):
            self.steps += 1
            if self.steps == 3:
                signal.raise_signal(signal.SIGINT)
            return super().training_step(batch, batch_index)

    task = Impatient(network, num_classes=3, lr=0.05)
    before = snapshot(network)
    with pytest.raises(KeyboardInterrupt):
        fit(task, Colors(), epochs=3)
    assert task.steps == 3
    assert re.search(r" 2/12 .*\n$", capfd.readouterr().out), "the bar ends where it was"
    assert changed(network, before) == set(before), "what was learned until then is kept"
    assert signal.getsignal(signal.SIGINT) is ctrl_c, "the next Ctrl+C works, too"
    assert not any(part.training for part in task.modules())
    assert network(torch.rand(1, 3, 8, 8)).shape == (1, 3)
    assert fit(task, Colors(), epochs=4)[-1]["val_accuracy"] == 1.0


def test_an_interrupt_during_evaluation_arrives(network, ctrl_c):
    class Impatient(Classification):
        def test_step(self, batch, batch_index):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        evaluate(Impatient(network, num_classes=3), Colors())
    assert signal.getsignal(signal.SIGINT) is ctrl_c


def test_other_errors_arrive_as_they_are(network):
    class Broken(Classification):
        def training_step(self, batch, batch_index):
            raise ZeroDivisionError("mine")

    task = Broken(network, num_classes=3)
    with pytest.raises(ZeroDivisionError, match="mine"):
        fit(task, Colors(), epochs=1)
    assert not task.training


def test_an_error_before_the_first_step_arrives_as_it_is(network):
    class NoData(Colors):
        def setup(self, stage: str) -> None:
            raise FileNotFoundError("mine")

    with pytest.raises(FileNotFoundError, match="mine"):
        fit(Classification(network, num_classes=3), NoData(), epochs=1)


# ---- Every task ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "metric", "goal", "epochs", "lr"),
    [
        (multi_label, "f1", 0.9, 10, 0.01),
        (segmentation, "miou", 0.7, 10, 0.01),
        (detection, "map50", 0.5, 20, 0.003),
    ],
)
def test_each_task_learns(make, metric, goal, epochs, lr):
    torch.manual_seed(0)
    task = make(Deeper(), lr=lr, backbone_lr=lr)
    assert evaluate(task, Squares())[f"test_{metric}"] < goal - 0.3
    history = fit(task, Squares(), epochs=epochs)
    assert history[-1][f"val_{metric}"] > goal
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert evaluate(task, Squares())[f"test_{metric}"] == history[-1][f"val_{metric}"], "the same images here"


@pytest.mark.parametrize(("make", "data"), EVERY_TASK)
def test_each_task_s_frozen_backbone_stays_as_it_is_to_the_last_bit(make, data):
    torch.manual_seed(0)
    task = make(Deeper(), freeze_backbone=True)
    before = snapshot(task.network)
    for mode_before in (True, False):
        task.network.train(mode_before)
        fit(task, data(), epochs=1)
        rest = {key for key in before if not key.startswith("backbone.")}
        assert changed(task.network, before) == rest
    assert all(parameter.grad is None for parameter in task.network.backbone.parameters())


@pytest.mark.parametrize(("make", "data"), EVERY_TASK)
def test_each_task_trains_all_parts_of_a_backbone_that_is_not_frozen(make, data):
    torch.manual_seed(0)
    task = make(Deeper())
    before = snapshot(task.network)
    task.network.eval()
    fit(task, data(), epochs=1, validate=False)
    assert changed(task.network, before) == set(before), "batch norm's running mean, too"


@pytest.mark.parametrize("make", METRICS)
def test_each_task_has_one_learning_rate_for_the_backbone_and_one_for_the_rest(make):
    backbone = Deeper()
    network = make(backbone).network

    def rates(**options) -> dict[float, set[int]]:
        groups = make(backbone, lr=0.5, **options).configure_optimizers().param_groups
        return {group["lr"]: {id(parameter) for parameter in group["params"]} for group in groups}

    learning = {id(parameter) for parameter in backbone.parameters()}
    assert rates()[0.05] == rates(backbone_lr=0.2)[0.2] == learning
    for options in ({}, {"backbone_lr": 0.2}, {"freeze_backbone": True}):
        assert not rates(**options)[0.5] & learning
        assert len(rates(**options)[0.5] | learning) == len(list(network.parameters()))
    assert set(rates(freeze_backbone=True)) == {0.5}


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (multi_label, {"train_loss", "train_f1", "val_loss", "val_f1"}),
        (segmentation, {"train_loss", "train_miou", "val_loss", "val_miou"}),
        (detection, {"train_loss", "val_map50", "val_map"}),
    ],
)
def test_each_task_runs_on_scenes(make, names, capfd):
    torch.manual_seed(0)
    scenes = Scenes(image_size=64, count=4, val_count=3, test_count=2, batch_size=2, mean=0.5, std=0.5)
    task = {
        multi_label: lambda body: MultiLabelClassification(
            Network(body, ClassificationHead(body.channels, 6)), num_classes=6
        ),
        segmentation: lambda body: Segmentation(
            Network(body, SegmentationHead(body.channels, 7)), num_classes=7
        ),
        detection: lambda body: Detection(Detector(body, 7)),
    }[make](Deeper())
    (history,) = fit(task, scenes, epochs=1)
    assert set(history) == names
    assert set(evaluate(task, scenes)) == {n.replace("val", "test") for n in names if n.startswith("val")}
    screen = capfd.readouterr()
    assert screen.err == ""
    assert all(line.startswith("training: ") for line in screen.out.strip().split("\r"))


# ---- What they measure, by hand ------------------------------------------------------------------


def measured(task: Task, answers: list, batch_size: int = 2) -> dict[str, float]:
    """evaluate() on images 0, 1, 2, ... with these right answers."""
    images = [torch.full((3, 2, 2), float(number)) for number in range(len(answers))]
    return evaluate(task, Batches(images, answers, batch_size))


def sure(mask: list[list[int]], num_classes: int) -> Tensor:
    """Logits (num_classes, H, W) that choose this mask."""
    return nn.functional.one_hot(torch.tensor(mask), num_classes).movedim(-1, 0) * 20.0


@pytest.mark.parametrize("positions", ["pixels", "tokens", "nodes"])
def test_mean_iou_counts_all_positions_together_and_leaves_absent_classes_out(positions):
    predicted = [[[0, 0], [1, 1]], [[0, 0], [0, 1]], [[0, 0], [2, 2]]]
    right = [[[0, 0], [1, 0]], [[0, 0], [1, 255]], [[0, 0], [0, 0]]]
    #  class 0: 2 + 2 + 2 hits, in 2 + 3 + 2 predictions and 3 + 2 + 4 answers => 6 / 10
    #  class 1: 1 hit, in 2 predictions (255 is not counted) and 2 answers      => 1 / 3
    #  class 2: 0 hits, in 2 predictions                                        => 0
    #  class 3: nowhere                                                         => not in the mean
    logits = [sure(mask, 4) for mask in predicted]  # of (4, 2, 2)
    masks = [torch.tensor(mask) for mask in right]  # of (2, 2)
    if positions != "pixels":
        logits, masks = [one.flatten(1) for one in logits], [mask.flatten() for mask in masks]
    if positions == "nodes":
        logits, masks = torch.cat(logits, dim=1).T, torch.cat(masks)  # (12, 4), (12,)
    result = measured(Segmentation(Prepared(list(logits)), num_classes=4), list(masks), batch_size=12)
    assert result["test_miou"] == pytest.approx((6 / 10 + 1 / 3 + 0) / 3)
    assert result["test_loss"] == pytest.approx(20 * 4 / 11, rel=1e-4), "wrong by 20 at 4 of 11 positions"


@pytest.mark.parametrize(
    ("num_classes", "options", "ignored"),
    [(255, {}, 255), (256, {}, -100), (256, {"ignore_index": 255}, 255), (3, {"ignore_index": 0}, 0)],
)
def test_what_does_not_count_counts_neither_for_the_loss_nor_for_the_metric(num_classes, options, ignored):
    task = Segmentation(Prepared([sure([[1, 2]], num_classes)]), num_classes, **options)
    result = measured(task, [torch.tensor([[1, ignored]])])
    assert result == pytest.approx({"test_loss": 0, "test_miou": 1}, abs=1e-5)


def test_class_255_counts_where_it_is_a_class():
    task = Segmentation(Prepared([sure([[1, 2]], 256)]), num_classes=256)
    result = measured(task, [torch.tensor([[1, 255]])])
    assert result == pytest.approx({"test_loss": (0 + 20) / 2, "test_miou": (1 + 0 + 0) / 3}, abs=1e-5)


def test_segmentation_loss_is_the_mean_over_labeled_pixels():
    logits = torch.zeros(1, 2, 1, 3)
    logits[0, 0, 0] = torch.tensor([1.0, 2.0, 50.0])
    task = Segmentation(Prepared([]), num_classes=2)
    expected = (nn.functional.softplus(torch.tensor(-1.0)) + nn.functional.softplus(torch.tensor(2.0))) / 2
    torch.testing.assert_close(task.loss(logits, torch.tensor([[[0, 1, 255]]])), expected)


def test_masks_without_any_label_give_no_loss_and_no_nan():
    task = Segmentation(Prepared([]), num_classes=2)
    logits = torch.randn(1, 2, 2, 2, requires_grad=True)
    loss = task.loss(logits, torch.full((1, 2, 2), 255))
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_f1_is_averaged_over_classes_and_loss_over_all_answers():
    logits = torch.tensor([[0.3, -1.0], [0.6, 2.0], [-0.2, -3.0], [0.9, 0.4]])
    right = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    #  class 0: found 2 of 3, 1 false alarm => 2*2 / (2*2 + 1 + 1);  class 1: found 1 of 2, 1 false alarm
    task = MultiLabelClassification(Prepared(list(logits)), num_classes=2)
    result = measured(task, list(right), batch_size=3)
    assert result["test_f1"] == pytest.approx((4 / 6 + 2 / 4) / 2)
    signed = logits * (1 - 2 * right)
    assert result["test_loss"] == pytest.approx(float(nn.functional.softplus(signed).mean()))


def box(*corners: float, label: int = 1, score: float | None = None) -> dict[str, Tensor]:
    return target([corners], [label], None if score is None else [score])


@pytest.mark.parametrize(
    ("found", "right", "map50", "map_all"),
    [
        ([box(0, 0, 10, 10, score=0.9)], [box(0, 0, 10, 10)], 1, 1),
        # IoU 0.72: enough for the thresholds 0.5, 0.55, 0.6, 0.65 and 0.7
        ([box(0, 0, 10, 7.2, score=0.9)], [box(0, 0, 10, 10)], 1, 0.5),
        ([box(0, 0, 10, 10, score=0.9, label=2)], [box(0, 0, 10, 10)], 0, 0),
        # One of two objects is found: precision 1 at the recalls 0, 0.01, ..., 0.5 of 0, ..., 1.
        ([box(0, 0, 10, 10, score=0.9), NOTHING], [box(0, 0, 10, 10), box(0, 0, 5, 5)], 51 / 101, 51 / 101),
        # A false alarm that is more sure than the hit halves the precision; a less sure one costs nothing.
        ([box(0, 0, 10, 10, score=0.5), box(0, 0, 5, 5, score=0.6)], [box(0, 0, 10, 10), NOTHING], 0.5, 0.5),
        ([box(0, 0, 10, 10, score=0.5), box(0, 0, 5, 5, score=0.4)], [box(0, 0, 10, 10), NOTHING], 1, 1),
        # The mean over the classes that exist.
        ([box(0, 0, 9, 9, score=0.9), NOTHING], [box(0, 0, 9, 9), box(0, 0, 9, 9, label=2)], 0.5, 0.5),
        ([NOTHING], [box(0, 0, 10, 10)], 0, 0),
    ],
)
def test_mean_average_precision(found, right, map50, map_all):
    result = measured(Detection(Prepared(found)), right, batch_size=1)
    assert set(result) == {"test_map50", "test_map"}
    assert result["test_map50"] == pytest.approx(map50)
    assert result["test_map"] == pytest.approx(map_all)


def test_where_there_is_nothing_to_find_the_precision_is_not_a_number():
    result = measured(Detection(Prepared([NOTHING])), [NOTHING])
    assert all(value != value for value in result.values())


def test_each_epoch_s_precision_is_its_own():
    task = Detection(Prepared([box(0, 0, 10, 10, score=0.9)]))
    assert measured(task, [box(20, 20, 30, 30)])["test_map50"] == 0
    assert measured(task, [box(0, 0, 10, 10)])["test_map50"] == 1


def test_batches_without_the_answers_that_a_task_needs_are_refused(network):
    scenes = Scenes(image_size=64, count=2, val_count=1, test_count=1)
    with pytest.raises(TypeError, match=r"\(inputs, label\), these have: image, presence, targets, mask"):
        fit(Classification(network, num_classes=3), scenes, epochs=1)
    with pytest.raises(TypeError, match=r"\(inputs, mask\), these have: 3 things without names"):
        segmentation(Deeper())._pair((1, 2, 3))
