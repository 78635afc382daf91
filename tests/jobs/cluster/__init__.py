"""The cluster that jobs run on: connecting, pools of workers, nodes that join, submitted jobs."""
