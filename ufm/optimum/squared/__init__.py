"""The squared loss with one linear layer: convex in the product and the bias."""
