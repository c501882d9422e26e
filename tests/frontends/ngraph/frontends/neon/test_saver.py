import numpy as np
import pytest

pytest.importorskip("configargparse")
from anode.frontends import ngraph as ng
from anode.frontends.ngraph import transformers as ngt
from anode.frontends.ngraph.frontends.neon import Saver, SaverFile


@pytest.fixture
def state():
    return ng.persistent_tensor([ng.make_axis(3)], initial_value=np.arange(3.0)).named("kept")


@pytest.mark.parametrize("compress", [False, True])
def test_values_come_back(state, tmp_path, compress):
    file, trained = (
        str(tmp_path / "weights.npz"),
        ng.sequential([ng.assign(state, state + 1), state]),
    )
    saver = Saver()
    first = ngt.make_transformer()
    first.computation(trained)()
    saver.setup_save(first, {"cost": trained})
    saver.save(file, compress=compress)
    second = ngt.make_transformer()
    other = Saver()
    other.restore(second, ng.computation(state), file)
    np.testing.assert_array_equal(second.computation(state)(), [1, 2, 3])
    assert list(SaverFile(file).read_values()) == [state.name]


def test_a_missing_name_is_said(state, tmp_path, capsys):
    SaverFile(str(tmp_path / "other")).write_values({"x": np.zeros(1)})
    Saver().setup_restore(ngt.make_transformer(), state, str(tmp_path / "other"))
    assert capsys.readouterr().out == f"Warning: Missing weight in save file: {state.name}\n"


def test_restore_needs_a_file(state):
    with pytest.raises(ValueError, match="needs a filename"):
        Saver().restore(ngt.make_transformer(), state)
