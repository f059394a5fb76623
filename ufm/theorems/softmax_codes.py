"""Generalised neural collapse with more classes than dimensions (arXiv 2310.05351): softmax codes."""

from ufm.catalogue import Citation, Domain, Theorem

_SETTING = (
    r"More classes than dimensions, $K>d$, features and classifiers on the sphere, cross-entropy of small temperature: "
)
_NEEDS = "a certified solver for features and classifiers on a sphere of fewer dimensions than classes"


def _on_the_sphere(name: str, title: str, statement: str) -> Theorem:
    """A statement about the sphere-constrained model, which nothing here can solve with a certificate."""
    return Theorem(
        name=name,
        title=title,
        statement=_SETTING + statement,
        citation=Citation("jiang2023", "abstract; the definitions are those of the released code", "abstract"),
        kind="structural",
        claims=(),
        domain=Domain(),
        problem=lambda point: None,
        no_proof="The model keeps features and classifiers on the sphere, which no derivation here treats.",
        needs=_NEEDS,
    )


THEOREMS = (
    _on_the_sphere(
        "margin",
        "Classifiers maximise the least one-vs-rest margin",
        r"the classifiers maximise the least one-vs-rest margin $\min_k\mathrm{dist}(w_k,\mathrm{conv}\{w_j\}_{j\ne "
        r"k})$.",
    ),
    _on_the_sphere(
        "tammes",
        "Tammes points minimise the largest inner product",
        r"the solutions of the Tammes problem minimise $\max_{j\ne k}\langle w_j,w_k\rangle$; where they are softmax "
        r"codes "
        r"they are the classifiers.",
    ),
)
