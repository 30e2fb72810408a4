"""Training: frozen is frozen, learning rates arrive, the history tells, and Ctrl+C is only Ctrl+C."""

import copy
import logging
import re
import signal
import warnings

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from backbones import Backbone, Network
from backbones.backbone import ByStride
from backbones.heads import ClassificationHead
from backbones.tasks import Classification, evaluate, fit


class Small(Backbone):
    """One convolution with batch norm, and dropout so that training and eval mode differ."""

    def __init__(self) -> None:
        super().__init__()
        self.name = "small"
        self.channels = ByStride({2: 8})
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1)
        )

    def forward(self, images: Tensor) -> ByStride:
        return ByStride({2: self.body(images)})


class Colors(pl.LightningDataModule):
    """Noisy images that are mostly red, green or blue: no network can fail on them."""

    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(0)
        self.labels = torch.arange(3).repeat(20)  # (60,)
        self.images = torch.rand(60, 3, 8, 8, generator=generator) * 0.5
        self.images[torch.arange(60), self.labels] += 0.5
        self.data = TensorDataset(self.images, self.labels)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.data, batch_size=15, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.data, batch_size=16)  # the last batch is smaller

    test_dataloader = val_dataloader


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    backbone = Small()
    return Network(backbone, ClassificationHead(backbone.channels, num_classes=3))


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


def changed(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {key for key, value in module.state_dict().items() if not torch.equal(value, before[key])}


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


@pytest.mark.parametrize("mode_before", [True, False], ids=["train", "eval"])
def test_a_frozen_backbone_stays_as_it_is_to_the_last_bit(network, mode_before):
    task = Classification(network, num_classes=3, freeze_backbone=True)
    before, head_before = snapshot(network.backbone), snapshot(network.head)
    for _ in range(2):
        network.train(mode_before)
        fit(task, Colors(), epochs=1)
        assert changed(network.backbone, before) == set()
    assert changed(network.head, head_before) == {"classifier.weight", "classifier.bias"}


@pytest.mark.parametrize("mode_before", [True, False], ids=["train", "eval"])
def test_an_unfrozen_backbone_learns_in_every_part(network, mode_before):
    task = Classification(network, num_classes=3)
    before = snapshot(network)
    network.train(mode_before)
    fit(task, Colors(), epochs=1)
    # Batch norm's running mean moves in training mode only.
    assert changed(network, before) == set(before)


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


def test_learning_rates_reach_the_optimizer(network):
    def rates(**options) -> dict[float, set[int]]:
        groups = Classification(network, num_classes=3, **options).configure_optimizers().param_groups
        return {group["lr"]: {id(parameter) for parameter in group["params"]} for group in groups}

    head = {id(parameter) for parameter in network.head.parameters()}
    backbone = {id(parameter) for parameter in network.backbone.parameters()}
    assert rates(lr=0.5) == {0.5: head, 0.05: backbone}
    assert rates(lr=0.5, backbone_lr=0.2) == {0.5: head, 0.2: backbone}
    assert rates(lr=0.5, freeze_backbone=True) == {0.5: head}


def test_a_backbone_learning_rate_of_zero_is_taken_literally(network):
    before = snapshot(network.backbone)
    fit(Classification(network, num_classes=3, backbone_lr=0.0), Colors(), epochs=1)
    assert changed(network.backbone, before) == {
        "body.1.running_mean",
        "body.1.running_var",
        "body.1.num_batches_tracked",
    }


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
