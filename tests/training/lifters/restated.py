"""Layers of transformers written again in numpy, row by row: what the video lifters are compared with."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import erf
from torch import nn

Weights = dict[str, np.ndarray]


def drawn(network: nn.Module, seed: int = 0) -> Weights:
    """Fill every weight and every running moment from a seed, in double precision; return them by name."""
    network.double().eval()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                noise = torch.from_numpy(rng.normal(scale=0.4, size=tuple(value.shape)))
                value.copy_(noise.abs() + 0.5 if name.endswith("running_var") else noise)
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def below(weights: Weights, prefix: str) -> Weights:
    """Select the weights of a part by the beginning of their names, which is cut off."""
    return {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}


def linear(x: np.ndarray, weights: Weights, prefix: str) -> np.ndarray:
    return x @ weights[f"{prefix}weight"].T + weights[f"{prefix}bias"]


def layer_norm(x: np.ndarray, weights: Weights, prefix: str, eps: float) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    return centred / scale * weights[f"{prefix}weight"] + weights[f"{prefix}bias"]


def batch_norm(x: np.ndarray, weights: Weights, prefix: str) -> np.ndarray:
    """Of a lifter that is being evaluated: by the running moments, channels last."""
    scale = np.sqrt(weights[f"{prefix}running_var"] + 1e-5)
    centred = x - weights[f"{prefix}running_mean"]
    return centred / scale * weights[f"{prefix}weight"] + weights[f"{prefix}bias"]


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    raised = np.exp(x - x.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int) -> np.ndarray:
    """Attend one head at a time, from (queries, width) to (keys, width)."""
    share = q.shape[1] // heads
    answers = []
    for head in range(heads):
        own = slice(head * share, (head + 1) * share)
        answers.append(softmax(q[:, own] @ k[:, own].T / np.sqrt(share)) @ v[:, own])
    return np.concatenate(answers, axis=1)


def block(x: np.ndarray, weights: Weights, heads: int, attention_eps: float = 1e-6) -> np.ndarray:
    """One row of tokens (tokens, width) through attention and MLP."""
    width = x.shape[1]
    qkv = linear(layer_norm(x, weights, "norm_attention.", attention_eps), weights, "attention.qkv.")
    q, k, v = qkv[:, :width], qkv[:, width : 2 * width], qkv[:, 2 * width :]
    x = x + linear(attention(q, k, v, heads), weights, "attention.out.")
    hidden = gelu(linear(layer_norm(x, weights, "norm_mlp.", 1e-6), weights, "mlp.expand."))
    return x + linear(hidden, weights, "mlp.contract.")
