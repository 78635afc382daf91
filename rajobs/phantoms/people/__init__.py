"""The people who are drawn: their build, their disease, their visits, and how inflamed each joint is."""
