"""Goh et al. 2021 on a run: each figure of the paper that a run can give, the published number beside ours."""
