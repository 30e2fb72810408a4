r"""Train one network with several processes: the same loss curve, in less time where there are cores.

    python several_processes.py --processes 1 --write one.json
    python several_processes.py --processes 2 --write two.json

This is data parallelism (Li et al., PyTorch Distributed, 2020, section 3): each process holds the whole
network and takes its share of every batch; the processes average their gradients and all make the same step.

The same file without a change, elsewhere:

    on one machine with 4 GPUs, where the processes talk by NCCL instead of gloo:

        python several_processes.py --accelerator auto --processes 4 --batch 200

    on two machines with 4 GPUs each. Start this on both; 192.168.0.10 is the first of them, and 29500 a free
    port that the second can reach:

        torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-id digits \
            --rdzv-endpoint 192.168.0.10:29500 several_processes.py --accelerator auto --batch 200

    as a rehearsal, two "machines" in two terminals of one computer:

        torchrun --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d --rdzv-id digits \
            --rdzv-endpoint 127.0.0.1:29500 --local-addr 127.0.0.1 several_processes.py

A process that is lost takes the others with it: they stop within seconds and say so; where it hangs, within
a minute after `--timeout` seconds. With a checkpoint the same command goes on after the last whole epoch, and
torchrun gives it by itself (the variable makes the new processes forget the addresses of the old ones:
without it they look for these in vain, https://github.com/pytorch/pytorch/issues/135712):

        TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun --standalone --nproc-per-node 2 --max-restarts 3 \
            several_processes.py --checkpoint digits.ckpt
"""

import argparse
import gc
import json
import os
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor

from backbones import Network, create_backbone
from backbones.data import Digits
from backbones.heads import ClassificationHead
from backbones.tasks import Classification


class Curve(pl.Callback):
    """Keeps the loss of each step, the mean over all processes, and its seconds; writes both to a file."""

    def __init__(self, file: Path, threads: int) -> None:
        self.file, self.threads = file, threads
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self.of_this_epoch: list[Tensor] = []

    def on_train_start(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        torch.set_num_threads(self.threads)
        rank, world = trainer.global_rank, trainer.world_size
        print(f"process {rank} of {world}: pid {os.getpid()}, on {task.device}", flush=True)

    def on_train_batch_start(self, *_: Any) -> None:
        self.begin = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, step: dict, *_: Any) -> None:
        self.of_this_epoch.append(step["loss"].detach())
        self.seconds.append(time.perf_counter() - self.begin)

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        # Each process knows the loss of its own share. The shares are equal, so the mean of these losses is
        # the loss of the whole batch. To ask once per epoch is enough, and saves time.
        self.losses += trainer.strategy.reduce(torch.stack(self.of_this_epoch), reduce_op="mean").tolist()
        self.of_this_epoch.clear()
        if trainer.is_global_zero:
            print(f"epoch {trainer.current_epoch}: loss {self.losses[-1]:.3f}", flush=True)

    def on_train_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        if trainer.is_global_zero:  # one of them writes
            parameters = sum(parameter.numel() for parameter in task.parameters())
            report = {"parameters": parameters, "losses": self.losses, "seconds": self.seconds}
            self.file.write_text(json.dumps(report))
            print(f"{sum(self.seconds):.1f} s of training => {self.file}", flush=True)

    def on_exception(self, trainer: pl.Trainer, task: pl.LightningModule, error: BaseException) -> None:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
        print(f"process {trainer.global_rank} stops: {reason}", flush=True)

    def state_dict(self) -> dict[str, Any]:  # what a checkpoint keeps of it
        return {"losses": self.losses, "seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.losses, self.seconds = state["losses"], state["seconds"]


def main() -> None:
    options = parse()
    # torchrun starts the processes itself and tells each of them how many there are.
    by_torchrun = "LOCAL_WORLD_SIZE" in os.environ
    here = int(os.environ["LOCAL_WORLD_SIZE"]) if by_torchrun else options.processes  # on this machine
    everywhere = int(os.environ["WORLD_SIZE"]) if by_torchrun else here
    if options.batch % everywhere:
        sys.exit(f"{everywhere} processes cannot share a batch of {options.batch} equally: take a multiple")
    # Otherwise Lightning does. A copy of this process ("fork") is there at once and shares its memory. A GPU
    # does not survive that: there Lightning runs this file once more for each process ("popen").
    fork = options.accelerator == "cpu" and sys.platform == "linux" and not by_torchrun

    warnings.filterwarnings("ignore", module="pytorch_lightning")  # its own use of deprecated functions
    warnings.filterwarnings("ignore", "Grad strides do not match")  # one more copy per step, the same numbers
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # Lightning would take more
    torch.set_num_threads(1)  # more begin with the training: threads do not survive a fork either

    # The same random numbers everywhere, so that all begin with the same weights.
    pl.seed_everything(0, verbose=False)
    # A backbone without batch norm: a batch norm would take its mean over the share of one process and not
    # over the batch, which is another network. (torch's SyncBatchNorm asks the others; it is for GPUs only.)
    # This small ConvNeXt has layer norm, which looks at one image at a time.
    backbone = create_backbone(options.backbone)
    network = Network(backbone, ClassificationHead(backbone.channels, num_classes=10))
    task = Classification(network, num_classes=10, lr=3e-3, backbone_lr=3e-3)

    # Each process loads batches that are its share of the whole one.
    data = Digits(image_size=32, channels=3, mean=0.5, std=0.5, batch_size=options.batch // everywhere)
    trainer = pl.Trainer(
        accelerator=options.accelerator,
        devices=here,
        num_nodes=everywhere // here,
        # DDP averages the gradients of all processes while they are computed. Lightning shuffles by a
        # DistributedSampler, whose order depends on the seed and the epoch alone: of two processes one takes
        # the images 0, 2, 4, ... of that order, the other 1, 3, 5, ... So both together see in each step what
        # one alone would see.
        strategy=DDPStrategy(
            timeout=timedelta(seconds=options.timeout), start_method="fork" if fork else "popen"
        ),
        max_epochs=options.epochs,
        limit_val_batches=0,
        callbacks=[Curve(options.write, options.threads), *keep(options.checkpoint)],
        enable_checkpointing=options.checkpoint is not None,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data.setup()  # copies of this process share what was imported and read before
    gc.freeze()  # and Python's search for garbage, which notes something on each object, must not undo that
    found = options.checkpoint is not None and options.checkpoint.exists()
    trainer.fit(task, data, ckpt_path=options.checkpoint if found else None)


def keep(checkpoint: Path | None) -> list[ModelCheckpoint]:
    """What writes weights, optimizer, epoch and curve into this file, at the end of each epoch."""
    if checkpoint is None:
        return []
    folder, name = checkpoint.absolute().parent, checkpoint.stem
    return [ModelCheckpoint(folder, name, save_on_train_epoch_end=True, enable_version_counter=False)]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2, help="on this machine (torchrun overrides it)")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--batch", type=int, default=200, help="images per step, of all processes together")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--backbone", default="test_convnext", help="any image backbone")
    parser.add_argument("--accelerator", default="cpu", help="cpu, or auto for GPUs where there are some")
    parser.add_argument("--timeout", type=int, default=120, help="seconds to wait for another process")
    parser.add_argument("--checkpoint", type=Path, help="a file FILE.ckpt, from which training goes on")
    parser.add_argument("--write", type=Path, default="several_processes.json", help="losses and seconds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
