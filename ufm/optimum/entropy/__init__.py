"""Cross-entropy with one linear layer: convex in the logits and the bias."""
