"""The class-encoding transition: all four witnesses of one campaign."""

from typing import TYPE_CHECKING

import numpy as np

from ufm.campaign import load_campaign
from ufm.catalogue import Formula
from ufm.plot.transition import transition
from ufm.record import stack
from ufm.referee.witnesses import summon, theorem_of
from ufm.theorems.class_encoding import lam_b_star

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses


def draw(spec: "FigureSpec", witnesses: "Witnesses | None") -> "Figure":
    """Recorded witnesses, or those handed over, with the theorem as a line between them."""
    campaign = load_campaign(spec.campaign)
    witnesses = witnesses or summon(campaign, recorded_flows=True)
    theorem = theorem_of(campaign)
    finite = [v for v in campaign.values if np.isfinite(v)]
    grid = [*np.geomspace(min(finite), max(finite), 201), np.inf]
    curve = stack([theorem.predict(campaign.problem.replace(lam_b=float(v))) for v in grid], lam_b=grid)
    return transition(
        curve,
        witnesses.theorem,
        witnesses.optimum,
        witnesses.flow_theorem,
        witnesses.flow,
        witnesses.measured,
        witnesses.live,
        lam_b_star=Formula(lam_b_star)(campaign.problem),
    )
