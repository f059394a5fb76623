"""How a run ended; the text is the advice."""

from enum import Enum


class Status(Enum):
    """Why the flow stopped, and what to do if that is not what you wanted."""

    STEADY = "Steady: the remaining distance to the limit is below gtol."
    UNSETTLED = "The gradient is above gtol at t1; raise t1, or leave it out to run to the steady state."
    ALGEBRAIC = (
        "The gradient decays like a power of t, not exponentially: some mode is marginal, as the mean mode is at "
        "lam_b = lam_b*. No time brings it within gtol; give t1 and compare with its law, there s_0 ~ N/(2 rho t)."
    )
    ROUNDOFF = "The gradient stopped at round-off, above what gtol asks of the slowest mode; loosen gtol."
    MAX_STEPS = "max_steps was reached before the steady state; raise max_steps, loosen rtol, or give a t1."
    DIVERGED = (
        "The state stopped being finite or the step fell below round-off; start smaller. The last finite state is kept."
    )
    OVERSHOT = (
        "Steps of length lr are too long to settle: lr is above 2 / the fastest rate (with momentum mu, 2 + 2 mu), or "
        "the start is too large for it; lower lr. A state from before it went wrong is kept."
    )

    @property
    def steady(self) -> bool:
        """Whether the limit was reached to gtol."""
        return self is Status.STEADY

    def __str__(self) -> str:
        return self.value
