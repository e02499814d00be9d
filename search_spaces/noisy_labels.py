"""mixup where two of five training labels are wrong: how far must images be mixed so that errors are not learnt?

    tune-mixup sweep noisy_labels
    tune-mixup sweep noisy_labels --set data.name=cifar10 --set data.label_noise.share=0.8

500 images of each class of Fashion-MNIST, so that a CPU will do; validation labels are right. alpha goes up to 32, the
largest with which Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, section 3.4, train on corrupted
labels. With alpha at 0.01 hardly anything is mixed, as a reference.
"""

from optuna.distributions import FloatDistribution

from tune_mixup.search_space import SearchSpace

SPACE = SearchSpace(
    fixed={
        "data.name": "fashion_mnist",
        "data.samples_per_class": 500,
        "data.label_noise.share": 0.4,
        "model.name": "tiny_resnet",
        "model.width": 8,
        "mixing.name": "mixup",
        "training.epochs": 12,
        "training.batch_size": 50,
    },
    free={
        "mixing.alpha": FloatDistribution(0.01, 32.0, log=True),
        "optimizer.lr": FloatDistribution(0.01, 0.4, log=True),
        "optimizer.weight_decay": FloatDistribution(1e-5, 1e-3, log=True),
    },
    baselines=(
        {"mixing.alpha": 0.01, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},
        {"mixing.alpha": 8.0, "optimizer.lr": 0.1, "optimizer.weight_decay": 1e-4},
    ),
    defaults={"trials": 12},
)
