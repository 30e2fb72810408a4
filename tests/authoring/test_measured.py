"""What lessons show of models that take too long to train in them: complete, and of the data they claim."""

import csv
import inspect
import json
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch

from authoring import (
    measure_balance,
    measure_capstone,
    measure_compute,
    measure_data,
    measure_deeplab,
    measure_features,
    measure_reviews,
    measure_tasks,
    measure_text,
    measure_towers,
    measure_translation,
)
from authoring.measure_deeplab import STARTS
from authoring.notebooks import find_notebook
from backbones import backbone, check_backbone, cost
from backbones.backbone import ByStride
from backbones.data import Reviews, Scenes
from backbones.data.reviews import Review
from backbones.data.vocabulary import PAD, UNKNOWN
from backbones.heads import DetectionHead

HEADS = {"-".join(map(str, which)) for which in product((16, 8), (0, 1, 2), (True, False))}


def rows(start: str, what: str) -> list[dict[str, str]]:
    path = measure_deeplab.RESULTS / f"{start}_{what}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("start", STARTS)
def test_every_start_was_measured_at_the_same_steps(start):
    steps = [int(row["step"]) for row in rows(start, "curve")]
    assert steps == [int(row["step"]) for row in rows(next(iter(STARTS)), "curve")]
    assert steps == sorted(set(steps))
    assert all(0 <= float(row["miou"]) <= 1 for row in rows(start, "curve") + rows(start, "heads"))


@pytest.mark.parametrize("start", STARTS)
def test_every_head_has_a_score_and_answers_to_the_scenes_of_the_lesson(start):
    assert {"-".join(list(row.values())[:3]) for row in rows(start, "heads")} == HEADS
    kept = np.load(measure_deeplab.RESULTS / f"{start}_answers.npz")
    scenes = Scenes()
    scenes.setup()
    truth = np.stack([scenes.test[i].mask.numpy() for i in kept["scenes"].tolist()])
    assert np.array_equal(kept["truth"], truth)
    answers = {which: kept[which] for which in HEADS}
    assert all(said.shape == truth.shape and said.max() <= 6 for said in answers.values())
    two = {said.tobytes() for which, said in answers.items() if "-2-" in which}
    assert len(two) == 4  # other models, other answers (without a decoder some say "background" only)


@pytest.mark.slow
def test_the_command_that_measured_them_still_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_deeplab, "RESULTS", tmp_path)
    start = "mobilenetv2_100-random"
    options = ["--steps", "2", "--head-steps", "1", "--batch", "2", "--every", "2", "--test-scenes", "4"]
    assert measure_deeplab.main([start, *options]) == 0
    assert [row["step"] for row in rows(start, "curve")] == ["2"]
    assert len(rows(start, "heads")) == len(HEADS)
    assert set(np.load(tmp_path / f"{start}_answers.npz")) >= HEADS
    assert start in capsys.readouterr().out


def swapped(part: str) -> list[dict[str, str]]:
    path = measure_deeplab.RESULTS / f"{part}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_every_swap_was_measured_from_every_seed():
    m = measure_deeplab
    found = [(int(row["seed"]), (row["backbone"], row["weights"])) for row in swapped("swap")]
    assert found == list(product(m.SEEDS, m.SWAPS))
    found = [(int(row["seed"]), int(row["decoder_convs"])) for row in swapped("decoder")]
    assert found == list(product(m.SEEDS, m.DECODER_CONVS))
    rows = swapped("swap") + swapped("decoder")
    scores = [float(row[column]) for row in rows for column in ("miou", "near_edges", "away")]
    assert all(0 < score < 1 for score in scores)
    assert len(set(scores)) > 0.8 * len(scores)  # other runs, other scores


@pytest.mark.parametrize("part", measure_deeplab.RECORDED)
def test_recorded_answers_are_to_the_scenes_of_the_lesson(part):
    kept = dict(np.load(measure_deeplab.RESULTS / f"{part}_answers.npz"))
    scenes = Scenes()
    scenes.setup()
    shown = kept.pop("scenes").tolist()
    assert shown == measure_deeplab.shown_scenes(scenes)
    truth = kept.pop("truth")
    assert np.array_equal(truth, np.stack([scenes.test[i].mask for i in shown]))
    names = {
        "swap": ["-".join(which) for which in measure_deeplab.SWAPS],
        "decoder": list(map(str, measure_deeplab.DECODER_CONVS)),
    }
    assert list(kept) == names[part]
    assert all(said.shape == truth.shape and said.max() <= 6 for said in kept.values())


def test_the_band_near_edges_is_the_one_in_the_lesson():
    lesson = find_notebook("05_deeplabv3plus").read_text(encoding="utf-8")
    cells = ["".join(cell["source"]) for cell in json.loads(lesson)["cells"]]
    assert any(inspect.getsource(measure_deeplab.near_edges).strip() in cell for cell in cells)
    mask = torch.zeros(1, 9, 9, dtype=torch.long)
    mask[..., 5:] = 3
    assert measure_deeplab.near_edges(mask)[0, 4].tolist() == [False] * 3 + [True] * 4 + [False] * 2


@pytest.mark.slow
def test_the_command_that_measured_the_swap_still_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_deeplab, "RESULTS", tmp_path)
    monkeypatch.setattr(measure_deeplab, "SEEDS", (0,))
    monkeypatch.setattr(measure_deeplab, "SWAP_SCENES", 16)
    monkeypatch.setattr(measure_deeplab, "DECODER_STEPS", 2)
    assert measure_deeplab.main([*measure_deeplab.RECORDED, "--test-scenes", "4"]) == 0
    assert [row["weights"] for row in swapped("swap")] == ["imagenet"] * 3 + ["random"]
    assert [row["decoder_convs"] for row in swapped("decoder")] == ["0", "2"]
    assert "tf_efficientnet_lite2-imagenet" in np.load(tmp_path / "swap_answers.npz")
    assert "decoder" in capsys.readouterr().out


def test_an_unknown_part_of_deeplab_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        measure_deeplab.main(["resnet101"])
    assert "no part resnet101: choose from swap, decoder, resnet101-random" in capsys.readouterr().err


def orders() -> list[dict[str, str]]:
    return list(csv.DictReader(measure_reviews.RESULTS.read_text(encoding="utf-8").splitlines()))


def test_every_reader_of_reviews_was_measured_from_every_start():
    found = [(row["backbone"], row["words"], int(row["seed"])) for row in orders()]
    assert found == [(*run, seed) for run in measure_reviews.RUNS for seed in measure_reviews.SEEDS]
    assert all(int(row["epochs"]) == measure_reviews.EPOCHS for row in orders())
    assert all(0.5 < float(row["test_accuracy"]) < 0.94 for row in orders())  # chance, and people


def test_shuffled_reviews_are_the_same_words_in_another_order():
    data = [kind(batch_size=4) for kind in (Reviews, measure_reviews.ShuffledReviews)]
    for reviews in data:
        reviews.setup()
    kept, shuffled = (reviews.collate(reviews.test[:50]) for reviews in data)
    assert (kept[1] == shuffled[1]).all()
    assert (kept[0][1] == shuffled[0][1]).all()  # lengths
    assert (kept[0][0].sort().values == shuffled[0][0].sort().values).all()
    assert (kept[0][0] != shuffled[0][0]).any(dim=1).all()  # no sentence of these stayed as it was


@pytest.mark.slow
def test_the_command_that_measured_the_reviews_still_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_reviews, "RESULTS", tmp_path / "order.csv")
    monkeypatch.setattr(measure_reviews, "RUNS", [("bag", "shuffled")])
    monkeypatch.setattr(measure_reviews, "SEEDS", [0])
    monkeypatch.setattr(measure_reviews, "EPOCHS", 1)
    measure_reviews.main()
    assert [row["backbone"] for row in orders()] == ["bag"]
    assert "bag shuffled" in capsys.readouterr().out


# ---- Lesson 08 -----------------------------------------------------------------------------------


def translations() -> list[dict[str, str]]:
    return list(csv.DictReader(measure_translation.RESULTS.read_text(encoding="utf-8").splitlines()))


def test_every_encoder_was_measured_from_every_start():
    pairs = [(row["network"], int(row["seed"])) for row in translations()]
    assert pairs == list(product(measure_translation.NETWORKS, measure_translation.SEEDS))


@pytest.mark.slow
def test_the_command_that_measured_the_encoders_still_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_translation, "RESULTS", tmp_path / "t.csv")
    monkeypatch.setattr(measure_translation, "SEEDS", (0,))
    assert measure_translation.main(["--count", "32", "--epochs", "1"]) == 0
    assert [row["network"] for row in translations()] == list(measure_translation.NETWORKS)
    assert "bag of letters, start 0" in capsys.readouterr().out


def table(name: str) -> list[dict[str, str]]:
    path = measure_text.RESULTS / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def count_runs(name: str, column: str) -> dict[tuple[str, int], int]:
    """How many different seeds each (way, number of labels) was measured with."""
    runs = {(row[column], int(row["labels"]), row["seed"]) for row in table(name)}
    assert len(runs) == len(table(name))
    return Counter(run[:2] for run in runs)


def test_every_way_was_measured_with_every_number_of_labels_and_several_draws():
    draws = dict.fromkeys(measure_text.SIZES[:-1], 5) | {measure_text.SIZES[-1]: 1}  # all can be drawn once
    expected = {(way, size): n for way in ("bag of words", "MiniLM, frozen") for size, n in draws.items()}
    expected |= {(way, size): 3 for way in measure_text.FROM_SCRATCH.values() for size in draws}
    expected |= {("MiniLM, random", size): 3 for size in measure_text.RANDOM_SIZES}
    assert count_runs("frozen", "way") == expected
    assert count_runs("layers", "layer") == {(str(n), size): d for n in range(7) for size, d in draws.items()}
    assert all(0 <= float(row["accuracy"]) <= 1 for row in table("frozen") + table("layers"))


def test_the_last_layer_is_the_frozen_backbone():
    last = [row["accuracy"] for row in table("layers") if row["layer"] == "6"]
    assert last == [row["accuracy"] for row in table("frozen") if row["way"] == "MiniLM, frozen"]


def test_frozen_fine_tuned_and_from_scratch_were_measured_alike():
    assert count_runs("tuned", "arm") == {
        (arm, size): 3 for arm in measure_text.ARMS for size in measure_text.TUNED
    }


class TinyReviews(Reviews):
    """Twelve sentences to learn from, twenty to test on."""

    def _keep(self, train: list[Review]) -> list[Review]:
        return super()._keep(train[:12])

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        self.test = self.test[:20]


@pytest.mark.slow
def test_the_command_that_measured_text_still_runs(tmp_path, monkeypatch, capsys):
    for name, value in {
        "RESULTS": tmp_path,
        "Reviews": TinyReviews,
        "ShortTest": TinyReviews,
        "SIZES": (4, 12),
        "RANDOM_SIZES": (4,),
        "BATCHES": 2,
        "TUNED": {4: 1},
    }.items():
        monkeypatch.setattr(measure_text, name, value)
    assert measure_text.main([]) == 0
    assert {row["way"] for row in table("frozen")} >= {"MiniLM, random", *measure_text.FROM_SCRATCH.values()}
    assert {row["layer"] for row in table("layers")} == set("0123456")
    assert tuple(row["arm"] for row in table("tuned")[:3]) == measure_text.ARMS
    assert "from scratch" in capsys.readouterr().out


def compute(name: str) -> list[dict[str, str]]:
    path = measure_compute.RESULTS / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_every_way_to_prune_was_measured_with_every_seed():
    found = [(int(row["seed"]), float(row["share"]), row["how"]) for row in compute("prune")]
    assert found == [(seed, *taken) for seed in measure_compute.SEEDS for taken in measure_compute.TAKEN]
    assert {row["of"] for row in compute("prune")} == {str(6 * 400)}
    assert [row["backbone"] for row in compute("compile")] == list(measure_compute.COMPILED)


def test_pruned_networks_keep_the_channels_that_are_worth_most():
    network = measure_compute.presence_network()
    block = network.backbone.body.blocks[1][0]
    size = block.conv_dw.weight.abs().sum((1, 2, 3))
    less = measure_compute.pruned(network, 0.25, "smallest", seed=0).backbone.body.blocks[1][0]
    assert less.conv_dw.weight.shape == (72, 1, 3, 3)  # of 96
    kept = size.sort(descending=True).values[:72]
    assert torch.equal(less.conv_dw.weight.abs().sum((1, 2, 3)).sort(descending=True).values, kept)
    assert block.conv_dw.weight.shape == (96, 1, 3, 3)


@pytest.mark.slow
def test_the_command_that_measured_pruning_still_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure_compute, "RESULTS", tmp_path)
    monkeypatch.setattr(measure_compute, "SEEDS", (1,))
    monkeypatch.setattr(measure_compute, "SCENES", 16)
    monkeypatch.setattr(measure_compute, "TAKEN", ((0.5, "random"),))
    assert measure_compute.main(["prune"]) == 0
    (row,) = compute("prune")
    assert int(row["before"]) < 2000
    assert "random" in capsys.readouterr().out


def test_an_unknown_part_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        measure_text.main(["fine"])
    assert "no part fine: choose from frozen, tuned" in capsys.readouterr().err


# ---- Lesson 03 -----------------------------------------------------------------------------------


def trained_towers() -> list[dict[str, str]]:
    path = measure_towers.RESULTS / "towers.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_every_tower_was_trained_at_every_rate_from_every_start():
    m = measure_towers
    found = [tuple(map(float, list(row.values())[:4])) for row in trained_towers()]
    assert found == list(product(m.SEEDS, m.RATES, m.DEPTHS, (0, 1)))
    assert all(0 < float(row[f"loss_{number}"]) < 3 for row in trained_towers() for number in (4, m.ROUNDS))


def test_the_towers_that_were_trained_are_those_of_the_lesson():
    lesson = find_notebook("03_cnn").read_text(encoding="utf-8")
    cells = ["".join(cell["source"]) for cell in json.loads(lesson)["cells"]]
    m = measure_towers
    for part in (m.Layer, m.tower, m.train):
        assert any(inspect.getsource(part).strip() in cell for cell in cells), part.__name__


@pytest.mark.slow
def test_the_command_that_trained_the_towers_still_runs(tmp_path, monkeypatch, capsys):
    small = {"RESULTS": tmp_path, "SEEDS": (3,), "RATES": (0.03,), "DEPTHS": (1, 2), "ROUNDS": 4}
    for name, value in small.items():
        monkeypatch.setattr(measure_towers, name, value)
    assert measure_towers.main([]) == 0
    assert [(row["depth"], row["path"]) for row in trained_towers()] == list(product("12", "01"))
    assert "towers 3 0.03 2 1" in capsys.readouterr().out


# ---- Lesson 12 -----------------------------------------------------------------------------------


def balance(part: str) -> list[dict[str, str]]:
    path = measure_balance.RESULTS / f"{part}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def starts(part: str, *columns: str) -> dict[tuple[str, ...], set[int]]:
    """The seeds that each combination of these columns was measured from."""
    found: dict[tuple[str, ...], set[int]] = {}
    for row in balance(part):
        found.setdefault(tuple(row[column] for column in columns), set()).add(int(row["seed"]))
    return found


def test_every_price_was_measured_from_every_start():
    m = measure_balance
    labels = list(map(str, m.LABELS))
    pretrained = product(m.LITES, ["imagenet"], map(str, m.PROBE_SIDES), labels)
    control = product(m.LITES[::2], ["random"], [str(m.SIDE)], labels)
    shapes = {(what, *map(str, one.values())) for what, ones in m.SCALES.items() for one in ones}
    expected = {
        ("probes", "backbone", "weights", "side", "labels"): {*pretrained, *control},
        ("scaling", "scaled", "width", "depth", "side"): shapes,
        ("distillation", "labels", "way"): {*product(labels, ("teacher", *m.WAYS))},
    }
    for (part, *columns), runs in expected.items():
        assert starts(part, *columns) == {run: set(m.SEEDS) for run in runs}
        assert all(0 < float(row["accuracy"]) < 1 for row in balance(part))


def test_the_small_backbone_keeps_the_contract_that_lesson_13_asks_for():
    assert check_backbone(measure_balance.SmallBackbone()) == []


def test_the_recorded_prices_are_those_of_the_backbones_today():
    for row in balance("scaling")[:: len(measure_balance.SEEDS)]:
        backbone = measure_balance.SmallBackbone(int(row["width"]), int(row["depth"]))
        price = measure_balance.price(backbone.to("meta"), int(row["side"]))
        assert {key: str(value) for key, value in price.items()}.items() <= row.items()


def test_what_was_measured_is_what_the_lesson_writes_out():
    lesson = find_notebook("12_challenge").read_text(encoding="utf-8")
    cells = ["".join(cell["source"]) for cell in json.loads(lesson)["cells"]]
    m = measure_balance
    for part in (m.object_crops, m.Block, m.SmallBackbone, m.train):
        assert any(inspect.getsource(part).strip() in cell for cell in cells), part.__name__


@pytest.mark.slow
def test_the_command_that_measured_the_prices_still_runs(tmp_path, monkeypatch, capsys):
    m = measure_balance
    short = {"RESULTS": tmp_path, "SEEDS": (0,), "TRAIN": 60, "TEST": 20, "LABELS": (24, 40), "MANY": 40}
    short |= {"PROBE_SIDES": (48,), "POOL": 50, "STEPS": 1, "SCALES": {"base": [m.BASE]}}
    for name, value in short.items():
        monkeypatch.setattr(m, name, value)
    assert m.main([]) == 0
    assert len(balance("probes")) == 2 * (len(m.LITES) + 2)
    assert len(balance("distillation")) == 2 * (1 + len(m.WAYS))
    assert [row["scaled"] for row in balance("scaling")] == ["base"]
    with pytest.raises(SystemExit):
        m.main(["energy"])
    assert "no part energy: choose from distillation" in capsys.readouterr().err


# ---- Lesson 11 -----------------------------------------------------------------------------------


def found(name: str) -> list[dict[str, str]]:
    path = measure_data.RESULTS / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def seen(name: str, *columns: str) -> Counter:
    """How many rows there are with these values, seeds apart; no seed comes twice."""
    runs = [(*(row[column] for column in columns), row["seed"]) for row in found(name)]
    assert len(set(runs)) == len(runs)
    return Counter(run[:-1] for run in runs)


def test_every_way_was_measured_with_every_share_of_the_data():
    ways, seeds = tuple(measure_data.WAYS), len(measure_data.SEEDS)
    expected = {("digit", way, str(n)): seeds for way in ways for n in measure_data.DIGITS}
    expected |= {("segmentation", way, str(n)): seeds for way in ways for n in measure_data.SCENES}
    expected |= {("presence", "frozen", str(n)): seeds for n in measure_data.SCENES}
    assert seen("curves", "head", "way", "examples") == expected
    assert all(0 <= float(row["score"]) <= 1 for row in found("curves"))


def test_every_way_was_trained_longer_with_all_of_the_data():
    ways, steps = product(("digit", "segmentation"), measure_data.WAYS), str(measure_data.LONGER * 100)
    expected = {(head, way, steps): len(measure_data.SEEDS) for head, way in ways}
    assert seen("longer", "head", "way", "steps") == expected
    assert all(0 <= float(row["score"]) <= 1 for row in found("longer"))


def test_every_number_of_scenes_was_measured_on_every_number_of_backgrounds():
    both = product(("1", "10", "own"), map(str, measure_data.COUNTS))
    assert seen("diversity", "backgrounds", "scenes") == dict.fromkeys(both, len(measure_data.SEEDS))


def test_every_number_of_sentences_was_measured_with_and_without_word_dropout():
    both = product(map(str, measure_data.REVIEWS), map(str, measure_data.DROPPED))
    assert seen("words", "sentences", "hidden") == dict.fromkeys(both, len(measure_data.SEEDS))
    assert all(0.4 < float(row["accuracy"]) < 0.94 for row in found("words"))  # chance, and people


def test_an_epoch_of_equal_steps_is_as_long_with_few_examples_as_with_many():
    for count in (3, 50):
        items = [(torch.tensor([float(number)]), number) for number in range(count)]
        batches = list(measure_data.Examples(items, [], seed=0, batch_size=5).train_dataloader())
        assert [len(inputs) for inputs, _ in batches] == [5] * measure_data.STEPS
        times = Counter(torch.cat([answers for _, answers in batches]).tolist())
        assert set(times) == set(range(count))
        assert max(times.values()) - min(times.values()) <= 1


def test_hidden_words_are_hidden_in_training_only():
    data = measure_data.HiddenWords(batch_size=64)
    data.setup()
    data.share = 0.3
    torch.manual_seed(0)
    (tokens, lengths), _ = data.collate(data.train[:64])
    (hidden, same_lengths), _ = data.collate_to_train(data.train[:64])
    changed = tokens != hidden
    assert torch.equal(lengths, same_lengths)
    assert (hidden[changed] == UNKNOWN).all()
    assert 0.25 < changed[tokens != PAD].float().mean() < 0.35
    assert not changed[tokens == PAD].any()
    (read, _), _ = next(iter(data.test_dataloader()))
    assert torch.equal(read, data.collate(data.test[:64])[0][0])


@pytest.mark.slow
def test_remembered_features_are_those_of_the_backbone():
    backbone = measure_data.lite0()
    images = torch.rand(3, 3, 64, 64)
    remembered = measure_data.Remembered(backbone, images)
    with torch.no_grad():
        features = backbone(images[[2, 0]])
    again = remembered(torch.tensor([2, 0]))
    assert again.size == features.size
    assert all(torch.allclose(again[stride], features[stride], atol=1e-4) for stride in (8, 16, 32))


@pytest.mark.slow
def test_the_command_that_measured_the_data_still_runs(tmp_path, monkeypatch, capsys):
    small = {"SEEDS": [0], "SCENES": (2, 4), "DIGITS": (10, 20), "REVIEWS": (8,), "COUNTS": (2, 4)}
    for name, value in {"RESULTS": tmp_path, "BACKGROUNDS": (1,), **small}.items():
        monkeypatch.setattr(measure_data, name, value)
    for kind in (measure_data.EqualSteps, measure_data.HiddenWords):
        monkeypatch.setattr(kind, "steps", 2)
    assert measure_data.main([]) == 0
    assert len(found("curves")) == 3 * 2 + 4 * 2
    assert [(row["way"], row["steps"]) for row in found("longer")] == [
        (way, "8") for way in measure_data.WAYS
    ] * 2
    assert [row["backgrounds"] for row in found("diversity")] == ["1", "1"]
    assert len(found("words")) == 2
    assert "curves digits digit from scratch 20 0" in capsys.readouterr().out


def test_an_unknown_part_of_the_data_is_refused_with_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        measure_data.main(["curve"])
    assert "no part curve: choose from curves, longer, diversity, words" in capsys.readouterr().err


# ---- Lesson 13 -----------------------------------------------------------------------------------


def capstone(name: str) -> list[dict[str, str]]:
    path = measure_capstone.RESULTS / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_every_backbone_was_measured_from_every_start_and_every_arm_under_every_head():
    named = [
        (name + "".join(f"-{v}" for v in options.values()), s) for name, s, options in measure_capstone.FRONT
    ]
    found = [(row["backbone"], row["start"], int(row["seed"])) for row in capstone("front")]
    assert found == [(*which, seed) for seed in measure_capstone.SEEDS for which in named]
    found = [(int(row["seed"]), row["task"], row["arm"]) for row in capstone("tasks")]
    assert found == list(product(measure_capstone.SEEDS, measure_capstone.TASKS, measure_capstone.ARMS))
    scores = [row["accuracy"] for row in capstone("front")] + [row["score"] for row in capstone("tasks")]
    assert all(0 <= float(score) <= 1 for score in scores)


def test_the_pocketnet_that_was_measured_is_the_one_in_the_lesson():
    build = measure_capstone.own_backbone()
    assert check_backbone(build) == []
    image = torch.zeros(1, 3, measure_capstone.DIGIT_SIZE, measure_capstone.DIGIT_SIZE)
    for width in (8, 16, 32):
        costs = cost.measure(build(width=width), image)
        (recorded,) = {
            (int(row["parameters"]), int(row["multiply_adds"]))
            for row in capstone("front")
            if row["backbone"] == f"pocket-{width}"
        }
        assert recorded == (costs.parameters, costs.multiply_adds)


@pytest.mark.slow
def test_the_command_that_measured_the_capstone_still_runs(tmp_path, monkeypatch, capsys):
    for name, value in {
        "RESULTS": tmp_path,
        "SEEDS": (0,),
        "EPOCHS": 1,
        "LABELS": 2,
        "SCENES": 16,
        "TEST_SCENES": 8,
        "FRONT": measure_capstone.FRONT[:1],
    }.items():
        monkeypatch.setattr(measure_capstone, name, value)
    monkeypatch.setattr(backbone, "_builders", dict(backbone._builders))  # "pocket" is the lesson's own
    assert measure_capstone.main([]) == 0
    assert [row["backbone"] for row in capstone("front")] == ["pocket-8"]
    assert len(capstone("tasks")) == len(measure_capstone.TASKS) * len(measure_capstone.ARMS)
    assert "PocketNet, trained" in capsys.readouterr().out


# ---- Lesson 01 -----------------------------------------------------------------------------------


def tunings() -> list[dict[str, str]]:
    path = measure_features.RESULTS / "tuning.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_every_way_to_use_features_was_measured_from_every_seed():
    m = measure_features
    found = [(int(row["seed"]), int(row["images"]), row["way"]) for row in tunings()]
    assert found == [(*key, way) for key in product(m.SEEDS, m.COUNTS) for way in m.ways(key[1])]
    assert all(0.1 < float(row[part]) <= 1 for row in tunings() for part in ("train", "test"))


def test_heads_on_frozen_backbones_were_trained_to_their_end():
    """A head that does not even know what it learned from would make fine-tuning look better than it is."""
    frozen = [row for row in tunings() if row["way"] in measure_features.FROZEN]
    assert [row for row in frozen if float(row["train"]) < 0.99] == []


@pytest.mark.slow
def test_the_command_that_measured_features_still_runs(tmp_path, monkeypatch, capsys):
    m = measure_features
    ways = {"FROZEN": {"frozen, stride 16": ("imagenet", 16)}, "TRAINED": {"from scratch": (None, {20: 2})}}
    for name, value in {"RESULTS": tmp_path, "SEEDS": (0,), "COUNTS": (20,), **ways}.items():
        monkeypatch.setattr(m, name, value)
    assert m.main([]) == 0
    assert [row["way"] for row in tunings()] == ["frozen, stride 16", "from scratch"]
    assert "tuning 20 from scratch 0" in capsys.readouterr().out


# ---- Lesson 04 -----------------------------------------------------------------------------------


def tasks(name: str) -> list[dict[str, str]]:
    path = measure_tasks.RESULTS / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def seeds_of(table: str, *columns: str) -> dict[tuple[str, ...], list[int]]:
    """The seeds that each combination of these columns was measured with."""
    found: dict[tuple[str, ...], list[int]] = {}
    for row in tasks(table):
        found.setdefault(tuple(row[column] for column in columns), []).append(int(row["seed"]))
    return found


def test_every_head_was_measured_on_every_backbone_with_every_seed():
    m, seeds = measure_tasks, list(measure_tasks.SEEDS)
    many = {(start, head) for start, heads in m.READ.items() for head in heads} | {("finished", "path cut")}
    few = {which for which in many if not set(which) & m.ONLY_MANY}
    assert seeds_of("many", "backbone", "head") == dict.fromkeys(many, seeds)
    assert seeds_of("few", "backbone", "head") == dict.fromkeys(few, seeds)
    passes = product([str(rate or "frozen") for rate in m.BACKBONE_RATES], map(str, range(1, m.PASSES + 1)))
    assert seeds_of("rates", "rate", "epoch") == dict.fromkeys(passes, seeds)
    changed = [("ImageNet", "segment"), ("ImageNet", "classify"), ("careless", "segment")]
    changed.append(("fine-tuned", "classify"))
    assert seeds_of("changed", "backbone", "head") == dict.fromkeys(changed, seeds)
    scores = [float(row["score"]) for name in ("few", "many", "changed") for row in tasks(name)]
    assert all(0 <= score <= 1 for score in scores)


def test_the_record_of_three_tasks_says_what_the_lesson_says():
    def scores(table: str, backbone: str, head: str) -> list[float]:
        rows = [row for row in tasks(table) if (row["backbone"], row["head"]) == (backbone, head)]
        return [float(row["score"]) for row in rows]

    for head in measure_tasks.THREE:  # the backbone matters more than the number of scenes
        assert min(scores("few", "finished", head)) > max(scores("many", "ImageNet", head)) + 0.1
    lazy = {"classify": 0.49, "segment": 0.13}  # everything is there; all is background
    assert all(max(scores("many", "random", head)) <= score for head, score in lazy.items())
    for table in ("few", "many"):  # the map in the middle knows most, and nearly all
        coarse_and_fine = [scores(table, "ImageNet", f"stride {stride}") for stride in (8, 32)]
        assert max(map(max, coarse_and_fine)) + 0.1 < min(scores(table, "ImageNet", "stride 16"))
        assert max(scores(table, "ImageNet", "segment")) < min(scores(table, "ImageNet", "stride 16")) + 0.05
    for head in ("path cut", "no path"):
        assert max(scores("many", "finished", head)) + 0.25 < min(scores("many", "finished", "detect"))
    rates = ("0.0005", "frozen", "0.005")
    last = [row for row in tasks("rates") if row["epoch"] == str(measure_tasks.PASSES)]
    ends = {rate: [float(row["miou"]) for row in last if row["rate"] == rate] for rate in rates}
    assert min(ends["0.0005"]) > max(ends["frozen"]) + 0.02
    assert max(ends["0.005"]) < min(ends["frozen"]) - 0.1
    for table, head in product(("few", "many"), ("classify", "segment")):
        two = zip(scores(table, "ImageNet", head), scores(table, "ImageNet, Lite2", head), strict=True)
        assert all(abs(small - large) < 0.06 for small, large in two)


def test_a_neck_without_its_path_is_the_lesson_s_with_nothing_added():
    channels = {8: 4, 16: 6, 32: 8}
    head = DetectionHead(ByStride(channels), 7).eval()
    lonely = measure_tasks.without_path(head, list(channels.values()))
    features = {
        stride: torch.rand(1, width, 96 // stride, 96 // stride) for stride, width in channels.items()
    }
    whole, cut = head.neck(features), lonely.neck(features)
    assert list(whole) == list(cut)
    assert torch.allclose(whole[32], cut[32])  # the deepest has nothing above it
    assert not torch.allclose(whole[8], cut[8])
    own = head.neck.fpn.layer_blocks[0](head.neck.fpn.inner_blocks[0](features[8]))
    assert torch.allclose(cut[8], own)


@pytest.mark.slow
def test_the_command_that_measured_three_tasks_still_runs(tmp_path, monkeypatch, capsys):
    m = measure_tasks
    short = {"RESULTS": tmp_path, "SEEDS": (0,), "TEST": 4, "VAL": 4, "TUNED_ON": 8, "PASSES": 1}
    for name, value in {**short, "BACKBONE_RATES": (None, 5e-4)}.items():
        monkeypatch.setattr(m, name, value)
    for plan in (m.FEW, m.MANY):
        monkeypatch.setitem(plan, "count", 8)
    assert m.main([]) == 0
    assert len(tasks("many")) == sum(map(len, m.READ.values())) + 1
    assert [row["rate"] for row in tasks("rates")] == ["frozen", "0.0005"]
    assert "many 0 finished path cut" in capsys.readouterr().out
