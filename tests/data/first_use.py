"""What two processes do that need the same data for the first time; imported by the processes, so no pytest here."""

import multiprocessing
import sys
from pathlib import Path
from types import ModuleType

import torch
from made_files import write_fashion
from PIL import Image

from tune_mixup.data import DATASETS, fashion_mnist, image_cache, listed_images, load, speech_download, torchvision_set

DEVICE = torch.device("cpu")


def run_together(worker, *args):
    """Two processes run `worker(*args, barrier, queue)`; returns what each put into the queue."""
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(2), context.Queue()
    processes = [context.Process(target=worker, args=(*args, barrier, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    return [queue.get() for _ in processes]


def meet_after_first(function, barrier):
    """`function`, whose first result is handed out only when the other process has one too: both find nothing."""
    calls = []

    def wrapped(*args):
        result = function(*args)
        calls.append(result)
        if len(calls) == 1:
            barrier.wait(timeout=60)
        return result

    return wrapped


def download_fashion(root, log, barrier, queue):
    def fake(folder, *, download):
        with open(log, "a") as file:
            file.write("download\n")
        write_fashion(Path(folder))

    torchvision = ModuleType("torchvision.datasets")
    torchvision.FashionMNIST = fake
    sys.modules["torchvision.datasets"] = torchvision
    fashion_mnist._find = meet_after_first(fashion_mnist._find, barrier)
    data = load(DATASETS["fashion_mnist"].parse({"root": root}), seed=0, device=DEVICE)
    queue.put(int(data.train.images.long().sum()))


def download_words(root, url, sha256, barrier, queue):
    speech_download.ARCHIVES = {"v0.01": speech_download.Archive(url, sha256)}
    barrier.wait(timeout=60)
    settings = DATASETS["speech_commands"].parse({"root": root, "version": "v0.01", "task": "all"})
    queue.put(float(load(settings, seed=0, device=DEVICE).train.images[:].double().sum()))


def decode_folder(path, log, barrier, queue):
    decode = listed_images.decode

    def logged(folder, files, *, form, beside):
        with open(log, "a") as file:
            file.write("decode\n")
        return decode(folder, files, form=form, beside=beside)

    listed_images.decode = logged
    image_cache._load = meet_after_first(image_cache._load, barrier)
    settings = DATASETS["imagefolder"].parse({"path": path, "root": f"{path}/unused"})
    queue.put(int(load(settings, seed=0, device=DEVICE).train.images[:].long().sum()))


def download_svhn(root, log, barrier, queue):
    class Fake:
        def __init__(self, folder, *, split, download):
            self.file = Path(folder) / f"{split}_32x32.mat"
            if download:
                with open(log, "a") as file:
                    file.write(f"{split}\n")
                self.file.write_text(split)

        def __len__(self):
            return 8

        def __getitem__(self, i):
            return Image.new("RGB", (4, 4), (i, len(self.file.read_text()), 0)), i % 2

    torchvision = ModuleType("torchvision")
    torchvision.datasets = ModuleType("torchvision.datasets")
    torchvision.datasets.SVHN = Fake
    sys.modules["torchvision"] = torchvision
    torchvision_set._found = meet_after_first(torchvision_set._found, barrier)
    data = load(DATASETS["torchvision:svhn"].parse({"root": root}), seed=0, device=DEVICE)
    queue.put(int(data.train.images[:].long().sum()))
