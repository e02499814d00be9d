"""What is remembered: the sweep's files, its Optuna study, the trials' folders. A trainer needs no Optuna."""
