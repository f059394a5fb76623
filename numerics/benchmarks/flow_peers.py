"""The peers of the flow's benchmark beside SciPy: diffrax, torchdiffeq, plain descent in PyTorch; each if installed.

All integrate the same right-hand side in columns, db, dW, dH' = -(E q + lam_b b, E H' + lam_W W, E'W + lam_H H') with
E = (W H' + b q' - A)/N: that of the full problem where the columns are all samples.
"""

import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")


def installed(name: str) -> bool:
    """Whether a peer can be measured here."""
    return importlib.util.find_spec(name) is not None


class Columns:
    """A flow in columns: start (b, W, H') as arrays, or stacks of them, weights, targets A (m x r), q (r), and N."""

    def __init__(self, problem: Any, field: Any, y: np.ndarray) -> None:
        b, (W,), Ht = field.unpack(y)
        self.start = (np.zeros(W.shape[:-1]) if field.m == 0 else np.array(b), np.array(W), np.array(Ht))
        self.weights = [float(problem.lam_b), float(problem.lam_W[0]), float(problem.lam_H)]
        (self.A, self.q), self.N, self.has_bias = field.targets, float(problem.N), field.m > 0

    def flat(self, parts: Sequence[Any]) -> np.ndarray:
        """Parts as a flat state of ufm."""
        b, W, Ht = map(np.asarray, parts)
        return np.concatenate([x.ravel() for x in ((b, W, Ht) if self.has_bias else (W, Ht))])


def _slope(has_bias: bool) -> Callable[..., Any]:
    def slope(t: Any, parts: Any, arguments: Any) -> Any:
        b, W, Ht = parts
        lam_b, lam_W, lam_H, A, q, N = arguments
        E = (W @ Ht.T + b[:, None] * q - A) / N
        return (-(E @ q + lam_b * b) if has_bias else 0 * b), -(E @ Ht + lam_W * W), -(E.T @ W + lam_H * Ht)

    return slope


def diffrax_flow(columns: Columns, name: str, rtol: float, times: Sequence[float]) -> tuple[float, Callable[[], Any]]:
    """CPU seconds that tracing and compiling take, and a call that runs to the last time: (states, steps)."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def run(start: Any, arguments: Any) -> Any:
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(_slope(columns.has_bias)),
            getattr(diffrax, name)(),
            0.0,
            times[-1],
            None,
            start,
            arguments,
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol / 1e3),
            saveat=diffrax.SaveAt(ts=jnp.array(times)),
            max_steps=None,
        )
        return found.ys, found.stats["num_steps"]

    lam_b = columns.weights[0] if columns.has_bias else 0.0
    arguments = (lam_b, *columns.weights[1:], jnp.array(columns.A), jnp.array(columns.q), columns.N)
    start, began = tuple(map(jnp.array, columns.start)), time.process_time()
    compiled = jax.jit(run).lower(start, arguments).compile()
    return time.process_time() - began, lambda: jax.block_until_ready(compiled(start, arguments))


def diffrax_batch(
    flows: Sequence[Columns], name: str, rtol: float, ends: Sequence[float]
) -> tuple[float, Callable[[], Any]]:
    """The same of many flows under `vmap`, each with weights and an end of its own."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    A, q, N = jnp.array(flows[0].A), jnp.array(flows[0].q), flows[0].N

    def run(start: Any, end: Any, weights: Any) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(_slope(True)),
            getattr(diffrax, name)(),
            0.0,
            end,
            None,
            start,
            (weights[0], weights[1], weights[2], A, q, N),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol / 1e3),
            saveat=diffrax.SaveAt(t1=True),
            max_steps=None,
        ).ys

    start = tuple(jnp.array(np.stack([flow.start[i] for flow in flows])) for i in range(3))
    given = (start, jnp.array(ends), jnp.array([flow.weights for flow in flows]))
    began = time.process_time()
    compiled = jax.jit(jax.vmap(run)).lower(*given).compile()
    return time.process_time() - began, lambda: jax.block_until_ready(compiled(*given))


def torchdiffeq_flow(columns: Columns, name: str, rtol: float, times: Sequence[float]) -> Callable[[], Any]:
    """A call that runs to the last time: (states at `times`, evaluations)."""
    import torch
    from torchdiffeq import odeint

    torch.set_num_threads(1)
    parts, A, q = tuple(map(torch.from_numpy, columns.start)), *map(torch.from_numpy, (columns.A, columns.q))
    arguments = (columns.weights[0] if columns.has_bias else 0.0, *columns.weights[1:], A, q, columns.N)
    slope, count = _slope(columns.has_bias), [0]

    def counted(t: Any, state: Any) -> Any:
        count[0] += 1
        return slope(t, state, arguments)

    def run() -> Any:
        count[0] = 0
        with torch.no_grad():
            found = odeint(
                counted,
                parts,
                torch.tensor([0.0, *times], dtype=torch.float64),
                rtol=rtol,
                atol=rtol / 1e3,
                method=name,
            )
        return [x[1:].numpy() for x in found], count[0]

    return run


def torch_descent(columns: Columns, lr: float, times: Sequence[float]) -> Callable[[], Any]:
    """Gradient descent by autograd, t = lr x steps: (states at `times`, gradients). Not the flow; what papers run."""
    import torch

    torch.set_num_threads(1)
    A, q = map(torch.from_numpy, (columns.A, columns.q))
    lam_b, lam_W, lam_H = columns.weights

    def run() -> Any:
        b, W, Ht = (torch.from_numpy(x.copy()).requires_grad_() for x in columns.start)
        moving = [b, W, Ht] if columns.has_bias else [W, Ht]
        optimiser, saved, done = torch.optim.SGD(moving, lr=lr), [], 0
        for end in times:
            for _ in range(done, round(end / lr)):
                optimiser.zero_grad()
                E = W @ Ht.T + b[:, None] * q - A
                decay = lam_W * (W**2).sum() + lam_H * (Ht**2).sum() + (lam_b * (b**2).sum() if columns.has_bias else 0)
                ((E**2).sum() / columns.N + decay).div(2).backward()
                optimiser.step()
            done = round(end / lr)
            saved.append([x.detach().numpy().copy() for x in (b, W, Ht)])
        return [np.stack(x) for x in zip(*saved, strict=True)], done

    return run
