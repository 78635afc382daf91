"""Each reader beside the model: totals of hands, and scores by group of joints as a paper counts them."""
