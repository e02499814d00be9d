"""A GPU that several processes take turns on, as it is without MPS: a fluid model, event by event.

Each process has a core of its own. In an epoch its host launches one step after another without waiting, and the device
works off what was launched; then the host waits for the device, validates on it, waits again, and works alone between
two epochs. The device is shared fairly among the processes that have work there, and where these are several it loses a
share of its time to switching between them.
"""

from dataclasses import dataclass, field, replace
from statistics import median

SWITCHING = 0.1
"""Share of the device's time that is lost while several processes want it."""
TINY = 1e-12


@dataclass(frozen=True)
class Job:
    """A trial; times are seconds, as they are with the device alone."""

    steps: int
    host_s: float
    """What the host needs to launch a step."""
    device_s: float
    """What the device needs for a step."""
    evaluation_s: float
    """What the device needs to validate."""
    between_s: float
    """What the host needs between two epochs, with nothing left for the device to do."""

    def with_epochs_of(self, steps):
        """Shorter epochs, on a part of both splits."""
        steps = min(steps, self.steps)
        return replace(self, steps=steps, evaluation_s=self.evaluation_s * steps / self.steps)


@dataclass
class Process:
    job: Job
    host_s: float
    """What the host still needs for what it does."""
    launches: int = 0
    """Steps that are yet to be launched."""
    queue_s: float = 0.0
    """What the device still needs for what was launched."""
    doing: str = "between"
    began: float = 0.0
    trained: float = 0.0
    epochs: list = field(default_factory=list)
    """When each began, how long its training took, and how long it took in all."""

    def go_on(self, now):
        """What follows when the host has nothing more to do in what it does, and has nothing to wait for."""
        job = self.job
        if self.doing == "training" and self.host_s <= TINY and self.launches:
            self.queue_s += job.device_s
            self.launches -= 1
            self.host_s = job.host_s if self.launches else 0.0
        elif self.host_s > TINY or self.queue_s > TINY:
            return False
        elif self.doing == "training":
            self.trained, self.doing, self.queue_s = now, "validating", job.evaluation_s
        elif self.doing == "validating":
            self.doing, self.host_s, self.queue_s = "between", job.between_s, 0.0
        else:
            if self.trained:
                self.epochs.append((self.began, self.trained - self.began, now - self.began))
            self.began, self.doing, self.launches, self.host_s = now, "training", job.steps, job.host_s
        return True


def run(job, copies, *, until):
    """The processes after `until(processes, now)` has said that it is enough; they begin one after another."""
    apart_s = job.steps * job.device_s / copies
    processes = [Process(job, host_s=place * apart_s) for place in range(copies)]
    now = 0.0
    while not until(processes, now):
        while any([process.go_on(now) for process in processes]):
            pass
        wanting = [process for process in processes if process.queue_s > TINY]
        rate = (1 - SWITCHING if len(wanting) > 1 else 1) / max(1, len(wanting))
        waits = [process.host_s for process in processes if process.host_s > TINY]
        step = min([*waits, *(process.queue_s / rate for process in wanting)])
        for process in wanting:
            process.queue_s -= step * rate
        for process in processes:
            process.host_s = max(0.0, process.host_s - step)
        now += step
    return processes, now


def pace(job, copies):
    """Epochs per second of all copies together, once all of them train."""

    def enough(processes, now):
        return all(len(process.epochs) > 4 for process in processes)

    processes, _ = run(job, copies, until=enough)
    return sum(1 / median(whole for _, _, whole in process.epochs[1:]) for process in processes)


def watched(job, copies, *, epochs, seconds):
    """What a probe sees: of each copy the epochs after the first, and how long it took to see so many and so long."""
    seen = []

    def enough(processes, now):
        warm = [process.epochs[0][0] + process.epochs[0][2] for process in processes if process.epochs]
        if len(warm) < copies:
            return False
        seen[:] = [[one for one in process.epochs if one[0] >= max(warm)] for process in processes]
        return now - max(warm) >= seconds and all(len(one) >= epochs for one in seen)

    _, now = run(job, copies, until=enough)
    return seen, now
