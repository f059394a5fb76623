"""Discrete companions of the flow are data as well: which step a descent of length lr takes, t = lr x steps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Descent:
    """v <- momentum v - grad L, y <- y + lr v; Nesterov's looks ahead, y <- y + lr (momentum v - grad L).

    As torch.optim.SGD has it: v = 0 at first, no dampening. lr: None until it is given.
    """

    name: str
    reference: str
    lr: float | None = None
    momentum: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True)
class Adam:
    """y <- y - lr m / (sqrt(v) + eps), m and v bias-corrected running means of the gradient and of its square.

    Coupled, the gradient is that of L, penalties included: torch.optim.Adam(weight_decay = lam). Decoupled, it is that
    of the loss alone and every factor shrinks by 1 - lr lam before the step: torch.optim.AdamW(weight_decay = lam).
    """

    name: str
    reference: str
    lr: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    decoupled: bool = False
