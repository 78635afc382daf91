"""Who is drawn: build, disease, visits, and how inflamed each joint is."""
