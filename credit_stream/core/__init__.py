"""The credit core: pure and deterministic. `step.step` is its entrance."""
