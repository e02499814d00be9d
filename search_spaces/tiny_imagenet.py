"""mixup on Tiny-ImageNet: its strength, with the optimizer's settings tuned beside it, by OpenMixup's protocol.

    tune-mixup sweep tiny_imagenet --trials 32 --max-epochs 100 --gpus-per-trial 0.5

The protocol: ResNet-18 with the stem for small images, SGD with momentum 0.9, learning rate 0.2 along a cosine to zero
that changes per epoch, batches of 100, weight decay 1e-4, alpha 1, random resized crops and flips, 400 epochs, the
median accuracy of the last ten. Here a tenth of the training images is held out for validation. The ranges reach a few
times as far as these values on either side. Another method: `--set mixing.name=cutmix`.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "tiny_imagenet",
        "data.mean": (0.485, 0.456, 0.406),
        "data.std": (0.229, 0.224, 0.225),
        "data.crop.train": "resized",
        "data.crop.filter": "bicubic",
        "data.augment.crop_padding": 0,
        "model.name": "resnet18",
        "mixing.name": "mixup",
        "optimizer.name": "sgd",
        "schedule.name": "cosine",
        "schedule.per": "epoch",
        "training.epochs": 400,
        "training.batch_size": 100,
        "training.median_epochs": 10,
    },
    free={
        "mixing.alpha": FloatDistribution(0.1, 4.0, log=True),
        "optimizer.lr": FloatDistribution(0.02, 0.8, log=True),
        "optimizer.weight_decay": FloatDistribution(5e-5, 1e-3, log=True),
    },
    baselines=({"mixing.alpha": 1.0, "optimizer.lr": 0.2, "optimizer.weight_decay": 1e-4},),
)
