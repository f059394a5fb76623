"""What observables and swept fields are called on the axes of a picture."""

WORDS = {
    "singular_values": "singular values of $W H$",
    "singular_values_centred": "centred singular values of $W H$",
    "singular_value_mean": "singular value of the mean direction",
    "class_mean_norm": "norms of the class means",
    "classifier_norm": "norms of the rows of $W$",
    "bias": "bias",
    "cosine": "mean cosine of class means",
    "cosines": "cosines of the class means",
    "value": "loss",
    "gradient_norm": r"gradient $\|\nabla L\|$",
    "nc1": r"$\mathrm{tr}(\Sigma_W \Sigma_B^+)/K$",
    "nc1_ratio": r"$\mathrm{tr}\,\Sigma_W/\mathrm{tr}\,\Sigma_B$",
    "order_parameter": "$s_0/s$: mean over centred singular value",
    "rank": "dimensions of the class means",
    "modes": r"$u_i' W H v_i$ (dark: $\sigma_1$)",
    "lam_W": r"weight of the layers, $\lambda_W$",
    "lam_H": r"weight of the features, $\lambda_H$",
    "lam_b": r"weight of the bias, $\lambda_b$",
    "t_rel": "regularisation, $t$",
    "t": "time, $t$",
    "direction": "direction",
    "centred_direction": "centred direction",
    "class": "class",
    "target": "target",
}


def words(name: str) -> str:
    """The words for a name, or the name itself without its underscores."""
    return WORDS.get(name, name.replace("_", " "))
