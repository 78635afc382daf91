"""rajobs papers: the five papers' protocols run on one cohort, and their tables and figures beside ours."""
