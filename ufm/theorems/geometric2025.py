"""Geometric properties of neural multivariate regression (arXiv 2510.01105): the claims of its abstract."""

from ufm.catalogue import Citation, Domain, Theorem


def _statistical(name: str, title: str, statement: str) -> Theorem:
    """A claim about trained networks."""
    return Theorem(
        name=name,
        title=title,
        statement=statement,
        citation=Citation("geometric2025", "abstract", "abstract"),
        kind="statistical",
        claims=(),
        domain=Domain(),
        problem=lambda point: None,
        no_proof="It is a claim about trained networks.",
        needs="records of regression networks with the intrinsic dimension of features and targets and the test error",
    )


THEOREMS = (
    _statistical(
        "over_compressed",
        "Collapsed regression models have features of lower dimension than the targets, and generalise worse",
        r"With intrinsic dimensions by TwoNN, collapsed models have $\mathrm{ID}_H<\mathrm{ID}_Y$ and "
        "generalise worse.",
    ),
    _statistical(
        "under_compressed",
        "Regression models without collapse have features of higher dimension than the targets",
        r"With intrinsic dimensions by TwoNN, models without collapse have $\mathrm{ID}_H>\mathrm{ID}_Y$.",
    ),
)
