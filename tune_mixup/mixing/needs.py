"""What a mixing method asks of batches, of the network and of the data."""

from tune_mixup.mixing.applied import AppliedSettings


class Needs(AppliedSettings):
    """Nothing, unless a method says otherwise; but of waveforms it must say that it can mix them."""

    @property
    def needs_stratified_batches(self) -> bool:
        """Whether every batch must hold each class equally often (`data.batches = stratified`, or `fixed`)."""
        return False

    @property
    def needs_fixed_batches(self) -> bool:
        """Whether a place in the batch must always hold the same class (`data.batches = fixed`)."""
        return False

    @property
    def min_stages(self) -> int:
        """How many stages the network must have for the features that are mixed; 0 for methods that mix inputs."""
        return 0

    @property
    def weighs_examples(self) -> bool:
        """Whether inputs are mixed only as wholes, an example by one weight: so waveforms can be mixed, too."""
        return False
