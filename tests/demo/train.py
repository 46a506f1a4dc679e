"""Trains the demo model: `python -m tests.demo.train --out connector/demo/model`.

The same steps from the same seed on one thread, so the same machine makes the same file again.
First the picture tower learns to tell the six attributes of a scene apart, through classifiers that are thrown away;
then pictures and sentences learn to meet. Sentences alone teach it little about things: colour, background and number
nearly identify a picture, and a contrastive loss is content with those.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional as F  # noqa: N812

from connector.demo.drawings import draw
from connector.demo.scene import Scene
from connector.demo.words import tokens
from tests.demo import export
from tests.demo.descriptions import AXES, describe, numbers, one_hot
from tests.demo.split import scenes

log = logging.getLogger("tests.demo.train")

BATCH = 64
LEARNING_RATE = 3e-3
HEAD_WEIGHTS = (1.0, 0.5, 0.7, 0.4, 0.3, 0.2)  # in the order of AXES
HEADS_ONLY = 0.45  # of the steps, before the first sentence
_IDS = {token: number for number, token in enumerate(export.TOKENS)}


class Heads(nn.Module):
    """Six cosine classifiers on the unit picture vector, one for each axis of a scene."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.ParameterList([nn.Parameter(torch.randn(len(axis), export.EMBED)) for axis in AXES])

    def loss(self, vectors: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Weighted sum of the six cross entropies; `vectors` (n, EMBED) of length one, `targets` (n, 6)."""
        losses = [
            weight * F.cross_entropy(20 * vectors @ F.normalize(classes, dim=1).T, targets[:, axis])
            for axis, (weight, classes) in enumerate(zip(HEAD_WEIGHTS, self.classes, strict=True))
        ]
        return torch.stack(losses).sum()


@dataclass(frozen=True)
class Lessons:
    """What there is to learn from: n pictures, each with what it shows.

    Attributes:
        pictures: (n, 3, SIDE, SIDE).
        index: (n, 6), the scene's value on each axis.
        scenes: n scenes, none of a combination held back.
    """

    pictures: NDArray[np.uint8]
    index: NDArray[np.int64]
    scenes: list[Scene]


def drawn(count: int, seed: int) -> Lessons:
    """Draw `count` training pictures."""
    chosen = scenes(count, seed, unseen=False)
    pictures = np.empty((count, 3, export.SIDE, export.SIDE), dtype=np.uint8)
    for i, scene in enumerate(chosen):
        # Three sizes, so that the tower does not depend on how a picture was smoothed.
        large = draw(scene, variant=seed + i, side=(128, 192, 256)[i % 3], sampling=1)
        small = large.resize((export.SIDE, export.SIDE), Image.Resampling.BICUBIC)
        pictures[i] = np.asarray(small).transpose(2, 0, 1)
    return Lessons(pictures, np.array([numbers(scene) for scene in chosen]), chosen)


def batches(count: int, rng: random.Random) -> Iterator[list[int]]:
    """Numbers of pictures, BATCH at a time, each as often as any other, without end."""
    waiting: list[int] = []
    while True:
        if len(waiting) < BATCH:
            waiting += rng.sample(range(count), count)
        yield [waiting.pop() for _ in range(BATCH)]


def augmented(pictures: NDArray[np.uint8], rng: random.Random) -> torch.Tensor:
    """Mirrored, shifted by up to five pixels, a little lighter or darker; normalised to -1…1."""
    padded = np.pad(pictures, ((0, 0), (0, 0), (5, 5), (5, 5)), mode="edge")
    out = np.empty(pictures.shape, dtype=np.float32)
    for i, picture in enumerate(padded):
        x, y = rng.randrange(11), rng.randrange(11)
        window = picture[:, y : y + export.SIDE, x : x + export.SIDE]
        out[i] = (window[:, :, ::-1] if rng.random() < 0.5 else window) * np.float32(rng.uniform(0.93, 1.07))
    return torch.from_numpy(np.minimum(out, 255) / 127.5 - 1)


def token_ids(texts: list[str]) -> torch.Tensor:
    """(n, CONTEXT), padded: what the exported tokenizer gives."""
    ids = torch.zeros(len(texts), export.CONTEXT, dtype=torch.long)
    for row, text in zip(ids, texts, strict=True):
        inner = [_IDS.get(token, export.UNKNOWN) for token in tokens(text)][: export.CONTEXT - 2]
        row[: len(inner) + 2] = torch.tensor([export.START, *inner, export.END])
    return ids


def untrained() -> open_clip.CLIP:
    """The model with random weights, made from the very configuration that ships."""
    with tempfile.TemporaryDirectory() as folder:
        export.write_configuration(Path(folder))
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    assert isinstance(model, open_clip.CLIP)
    model.logit_scale.data.fill_(math.log(10))
    return model


def contrast(
    images: torch.Tensor, texts: torch.Tensor, true: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """InfoNCE in both directions, every true pair of the batch being a right answer; `true` (pictures, texts)."""
    logits = scale * images @ texts.T
    rows = true / true.sum(1, keepdim=True)
    columns = true / true.sum(0, keepdim=True)
    by_image = -(rows * logits.log_softmax(1)).sum(1).mean()
    by_text = -(columns * logits.log_softmax(0)).sum(0).mean()
    return (by_image + by_text) / 2


def loss_of(
    model: open_clip.CLIP, heads: Heads, lessons: Lessons, batch: list[int], rng: random.Random, *, told: bool
) -> torch.Tensor:
    """The loss of one batch; with its sentences, where they are `told` already."""
    images = F.normalize(model.encode_image(augmented(lessons.pictures[batch], rng)), dim=1)
    loss = heads.loss(images, torch.from_numpy(lessons.index[batch]))
    if not told:
        return loss
    described = [describe(lessons.scenes[i], rng) for i in batch]
    met = one_hot(lessons.index[batch]) @ np.stack([d.allowed for d in described]).T
    texts = F.normalize(model.encode_text(token_ids([d.text for d in described])), dim=1)
    true = torch.from_numpy((met > len(AXES) - 0.5).astype(np.float32))
    return 0.5 * loss + contrast(images, texts, true, model.logit_scale.exp())


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """One thread, deterministic algorithms, seeded; torch is left as it was found, but for its randomness."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


def train(steps: int, pictures: int, seed: int) -> export.State:
    """The state of the trained open_clip model."""
    with reproducible(seed):
        return _trained(steps, drawn(pictures, seed), random.Random(seed))


def _trained(steps: int, lessons: Lessons, rng: random.Random) -> export.State:
    count = len(lessons.scenes)
    model, heads = untrained(), Heads()
    parameters = [*model.parameters(), *heads.parameters()]
    log.info("%d pictures, %d parameters", count, sum(p.numel() for p in model.parameters()))
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.05)
    started = time.process_time()
    for step, batch in zip(range(steps), batches(count, rng), strict=False):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * pace(step, steps)
        loss = loss_of(model, heads, lessons, batch, rng, told=step >= HEADS_ONLY * steps)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        model.logit_scale.data.clamp_(max=math.log(100))
        if step % 100 == 0 or step == steps - 1:
            log.info("step %5d  loss %.3f  %4.0f CPU-s", step, loss.item(), time.process_time() - started)
    state: export.State = model.state_dict()
    return state


def pace(step: int, steps: int) -> float:
    """The share of the learning rate: rising over the first twentieth, then falling along a cosine."""
    warm = steps / 20
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def main() -> None:
    """Train and write the model's folder."""
    parser = argparse.ArgumentParser(description="Train the demo model.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--pictures", type=int, default=16000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    log.setLevel(logging.INFO)
    export.write_model(train(arguments.steps, arguments.pictures, arguments.seed), arguments.out)


if __name__ == "__main__":
    main()
