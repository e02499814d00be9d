import pytest

from tune_mixup.cluster.connection import _knock


def test_an_address_where_nobody_listens_is_refused_at_once():
    with pytest.raises(ValueError, match="no Ray cluster answers at 127.0.0.1:1: .*refused"):
        _knock("127.0.0.1:1")


@pytest.mark.parametrize("address", ["auto", "local"])
def test_words_for_addresses_are_left_to_ray(address):
    _knock(address)
