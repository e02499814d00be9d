"""Functions that `Holds` imports."""


def short_warmup(settings):
    """At most a third of the training."""
    return 3 * settings["schedule.warmup_epochs"] <= settings["training.epochs"]


def never(settings):
    return False


def counts(settings):
    return len(settings)


def fails_without_alpha(settings):
    return settings["mixing.alpha"] > 0
