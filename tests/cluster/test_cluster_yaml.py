from pathlib import Path

import pytest
import yaml

CLUSTER = Path(__file__).resolve().parents[2] / "cluster.yaml"


@pytest.fixture
def validate():
    from ray.autoscaler._private.util import prepare_config, validate_config

    return lambda config: validate_config(prepare_config(config))


def test_cluster_yaml_holds_to_rays_own_schema(validate):
    config = yaml.safe_load(CLUSTER.read_text())
    validate(config)
    assert config["available_node_types"][config["head_node_type"]]["resources"] == {"CPU": 0}
    assert config["available_node_types"]["gpu_worker"]["resources"]["GPU"] == 1


def test_the_schema_would_notice(validate):
    with pytest.raises(Exception, match="bogus_key"):
        validate({**yaml.safe_load(CLUSTER.read_text()), "bogus_key": 1})
