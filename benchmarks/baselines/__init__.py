"""What ours is compared with, written from descriptions and tuned as a good user would.

`published_loop`: one trial as published training code runs it. `plain_tune`: many of them under Ray Tune as its
documentation shows. `optuna_pool`: many under Optuna alone, in a pool of processes.
"""
