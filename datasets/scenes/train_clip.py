"""Trains the small CLIP on scenes: ``python -m bench.datasets.scenes.train_clip --out DIR``.

It writes an open_clip model folder: configuration, weights (fp16), log and provenance. Its scenes belong
to parts that no dataset contains, whatever the dataset's seed. Equal options give equal bytes on one
machine, not across machines.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.datasets.scenes import world
from bench.datasets.scenes.items import Items

Array = npt.NDArray[Any]
Tensor = Any  # torch.Tensor; torch is imported by the functions that need it

FOLDER = Path(__file__).parent / "clip"
CONFIG, WEIGHTS, LOG, ORIGIN = (
    "open_clip_config.json",
    "open_clip_model.safetensors",
    "training.csv",
    "provenance.json",
)
RATE, DECAY, WARM_UP = 2e-3, 0.05, 100  # for AdamW; the rate rises for WARM_UP steps, then falls as a cosine
CHECKED, MONITORED = 1000, 500  # unseen pairs that measure retrieval after and during training
LOGGED = 100  # steps between two rows of the log


def examples(seed: int, part: int, start: int, n: int, size: int) -> tuple[Array, list[str], Array]:
    """Pictures (n, size, size, 3) uint8, captions and labels (n, classes) of consecutive items."""
    items = Items.of(seed, part, n, start)
    pictures = np.stack([items.picture(row, size) for row in range(n)])
    return pictures, [items.caption(row) for row in range(n)], items.labels()


def train(out: Path, *, steps: int, batch: int, seed: int) -> dict[str, float]:
    """Train a model and write its folder to ``out``; returns retrieval scores on unseen pairs."""
    import torch

    torch.set_num_threads(1)
    model, tokenize = _untrained(out, seed)
    optimiser = torch.optim.AdamW(_groups(model), lr=RATE, betas=(0.9, 0.98), fused=True)
    known = torch.zeros(model.vocab_size, dtype=torch.bool)
    started, losses = time.perf_counter(), []
    with (out / LOG).open("w", encoding="utf-8", newline="") as file:
        log = csv.writer(file, lineterminator="\n")
        log.writerow(["step", "pairs", "seconds", "rate", "loss", "r1_of_check"])
        for step in range(steps):
            pictures, texts, _ = examples(seed, world.LEARN, step * batch, batch, model.visual.image_size)
            tokens = tokenize(texts)
            known[tokens.flatten()] = True
            losses.append(_update(model, optimiser, pixels(model, pictures), tokens, rate(step, steps)))
            if (step + 1) % LOGGED == 0 or step + 1 == steps:
                scores = retrieval(*embed(model, tokenize, seed, world.CHECK, MONITORED))
                seconds = round(time.perf_counter() - started, 1)
                numbers = (
                    f"{rate(step, steps):.2e}",
                    f"{np.mean(losses):.4f}",
                    f"{scores['image_to_text_r1']:.4f}",
                )
                log.writerow([step + 1, (step + 1) * batch, seconds, *numbers])
                file.flush()
                losses = []
    save(model, known, out / WEIGHTS)
    return evaluate(out)


def _untrained(out: Path, seed: int) -> tuple[Any, Any]:
    """A model with fresh weights, and its tokenizer; writes only the configuration to ``out``."""
    import open_clip
    import torch

    out.mkdir(parents=True, exist_ok=True)
    (out / CONFIG).write_bytes((FOLDER / CONFIG).read_bytes())
    torch.manual_seed(seed)
    model = open_clip.create_model(f"local-dir:{out}", load_weights=False)
    # Channels last: convolutions of few channels are twice as fast on a CPU.
    return model.to(memory_format=torch.channels_last), open_clip.get_tokenizer(f"local-dir:{out}")


def _update(model: Any, optimiser: Any, images: Tensor, tokens: Tensor, rate: float) -> float:
    """One step of the optimiser; returns the loss before it."""
    import torch

    for group in optimiser.param_groups:
        group["lr"] = rate
    loss = contrast(model, images, tokens)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, math.log(100))
    return float(loss.item())


def rate(step: int, steps: int) -> float:
    """The learning rate of a step: linear warm-up, then half a cosine down to 0."""
    if step < WARM_UP:
        return RATE * (step + 1) / WARM_UP
    return RATE * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / max(steps - WARM_UP, 1)))


def contrast(model: Any, images: Tensor, tokens: Tensor) -> Tensor:
    """The symmetric InfoNCE of CLIP (Radford et al., ICML 2021, figure 3) of one batch."""
    import torch
    from torch.nn.functional import cross_entropy

    image, text = model.encode_image(images, normalize=True), model.encode_text(tokens, normalize=True)
    scores, own = model.logit_scale.exp() * image @ text.T, torch.arange(len(images))
    return 0.5 * (cross_entropy(scores, own) + cross_entropy(scores.T, own))


def pixels(model: Any, pictures: Array) -> Tensor:
    """(n, 3, size, size), as the model's preprocessing makes them from pictures of its size."""
    import torch

    cfg = model.visual.preprocess_cfg
    mean, std = (torch.tensor(cfg[name]).view(3, 1, 1) for name in ("mean", "std"))
    return (torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255 - mean) / std


def save(model: Any, known: Tensor, path: Path) -> None:
    """Save the weights in fp16; tokens that training never met get zeros, which compress well."""
    import torch
    from safetensors.torch import save_file

    weights = {
        name: (w.half() if w.is_floating_point() else w).contiguous()
        for name, w in model.state_dict().items()
    }
    weights["token_embedding.weight"][~known] = 0
    temporary = path.with_suffix(".part")
    with torch.no_grad():
        save_file(weights, temporary, metadata={"format": "pt"})
    temporary.replace(path)


def evaluate(folder: Path) -> dict[str, float]:
    """Measure the stored model's retrieval among the first pairs of the default dataset, all unseen."""
    import open_clip

    model = open_clip.create_model(f"local-dir:{folder}")
    tokenize = open_clip.get_tokenizer(f"local-dir:{folder}")
    return retrieval(*embed(model, tokenize, 0, world.TRAIN, CHECKED))


def embed(model: Any, tokenize: Any, seed: int, part: int, n: int) -> tuple[Array, Array, Array]:
    """Unit vectors (n, d) of the pictures and captions of a part's first items, and their labels."""
    import torch

    pictures, texts, labels = examples(seed, part, 0, n, model.visual.image_size)
    training = model.training
    model.eval()
    with torch.no_grad():
        image = model.encode_image(pixels(model, pictures), normalize=True).numpy()
        text = model.encode_text(tokenize(texts), normalize=True).numpy()
    model.train(training)
    return image, text, labels


def retrieval(image: Array, text: Array, labels: Array) -> dict[str, float]:
    """R@1, R@5, R@10 of each item's counterpart and mAP by shared labels, in both directions, with chance."""
    n, relevant = len(image), labels.astype(np.float32) @ labels.T > 0
    result: dict[str, float] = {"pairs": n, "chance_map": float(relevant.mean())}
    for k in (1, 5, 10):
        result[f"chance_r{k}"] = k / n
    for name, scores in (("image_to_text", image @ text.T), ("text_to_image", text @ image.T)):
        above = (scores > scores.diagonal()[:, None]).sum(axis=1)
        for k in (1, 5, 10):
            result[f"{name}_r{k}"] = float((above < k).mean())
        hits = np.take_along_axis(relevant, np.argsort(-scores, axis=1, kind="stable"), axis=1)
        precision = hits.cumsum(axis=1) / np.arange(1, n + 1)
        result[f"{name}_map"] = float(((precision * hits).sum(axis=1) / hits.sum(axis=1)).mean())
    return result


def _groups(model: Any) -> list[dict[str, Any]]:
    """Parameter groups that apply weight decay to matrices and kernels only."""
    plain = {"token_embedding.weight", "positional_embedding", "logit_scale"}
    named = list(model.named_parameters())
    decayed = [p for name, p in named if p.ndim > 1 and name not in plain]
    rest = [p for name, p in named if p.ndim <= 1 or name in plain]
    return [{"params": decayed, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the small CLIP of the dataset scenes.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--steps", type=int, default=2500, help="optimiser steps (default: 2500)")
    parser.add_argument("--batch", type=int, default=128, help="pairs per step (default: 128)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    args = parser.parse_args(words)
    if args.steps < 1 or args.batch < 2 or args.seed < 0:
        parser.error("expected --steps of at least 1, --batch of at least 2 and --seed of at least 0")
    if (args.out / WEIGHTS).exists():
        parser.error(f"{args.out} already holds a model. Choose another folder.")
    started = time.perf_counter()
    scores = train(args.out, steps=args.steps, batch=args.batch, seed=args.seed)
    origin = {
        "command": f"python -m bench.datasets.scenes.train_clip --out DIR --steps {args.steps} "
        f"--batch {args.batch} --seed {args.seed}",
        "minutes": round((time.perf_counter() - started) / 60, 1),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "torch", "open_clip_torch", "safetensors")},
        },
        "machine": f"{platform.system()} {platform.machine()}, one thread",
        "sha256": {
            name: hashlib.sha256((args.out / name).read_bytes()).hexdigest() for name in (CONFIG, WEIGHTS)
        },
        "unseen": {name: round(value, 4) for name, value in scores.items()},
    }
    (args.out / ORIGIN).write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
