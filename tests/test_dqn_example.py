"""examples/dqn.py learns a game of two buttons, and goes on where it was stopped."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from anode.layers import Adam

EXAMPLE = Path(__file__).parent.parent / "examples" / "dqn.py"


@pytest.fixture
def dqn():
    return runpy.run_path(str(EXAMPLE))


@pytest.fixture
def buttons(dqn):
    """A lamp says which of two buttons gives a point; an episode has ten steps."""

    class Buttons(dqn["CartPole"]):
        settings = dqn["CARTPOLE"]._replace(
            optimizer=Adam(0.05), synchronise=20, start=100, explored=1500, report=500
        )

        def __init__(self, seed: int) -> None:
            self.actions, self.time = 2, 0
            self.random = np.random.default_rng(seed)
            self.lit = self.random.integers(0, 2, 8)
            self.frames = np.eye(2, dtype=np.float32)[self.lit]

        def network(self):
            return [self.head()]

        def step(self, actions):
            rewards = (actions == self.lit).astype(np.float64)
            self.time += 1
            self.lit = self.random.integers(0, 2, 8)
            self.frames = np.eye(2, dtype=np.float32)[self.lit]
            return rewards, np.full(8, self.time % 10 == 0), np.zeros(8, bool)

    return Buttons


def test_it_learns_resumes_and_draws(dqn, buttons, tmp_path, capsys):
    player = dqn["Player"](buttons(0), 0, None)
    assert dqn["train"](player, tmp_path, 2000, 5.0) > 8  # of ten; by chance five
    lines = (tmp_path / "curve.csv").read_text().splitlines()
    assert lines[0] == "minutes,steps,mean return" and len(lines) == 5
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "mean return" in capsys.readouterr().out

    again = dqn["Player"](buttons(1), 1, None)
    assert dqn["train"](again, tmp_path, 2500, 5.0) > 9
    assert again.updates > player.updates
    assert len((tmp_path / "curve.csv").read_text().splitlines()) == 6
