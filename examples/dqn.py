"""A deep Q-network that learns to play: python examples/dqn.py cartpole, or pong, breakout, …

CartPole takes a minute; Pong begins to win points within an hour. Atari games come with
`pip install 'anode[games]'`. Ctrl-C, a kill or `--minutes` stop it; the same command goes on.
"""

import argparse
import csv
import os
import sys
from collections import deque
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np

from anode import data, layers, ops
from anode.pictures import learning_curves
from anode.scripts import plain_errors, positive


class Settings(NamedTuple):
    """How to learn one kind of game; all counts but `batch` are of steps of one environment."""

    environments: int
    steps: int
    capacity: int
    start: int  # learning begins when the memory has so many steps
    every: int  # one minibatch is learned from after so many steps
    batch: int
    optimizer: layers.Adam
    synchronise: int  # minibatches between two copies into the target network
    explored: int  # exploration falls from 1 to `exploration` in the first so many steps
    exploration: float
    ahead: int  # rewards that count before the network's own estimate
    stack: int
    report: int


CARTPOLE = Settings(
    8, 100_000, 50_000, 1_000, 2, 64, layers.Adam(1e-3), 250, 20_000, 0.02, 3, 1, 5_000
)
# A small ε lets Adam make steps at first that leave no ReLU alive.
ADAM = layers.Adam(1e-4, epsilon=1e-4)
ATARI = Settings(8, 2_000_000, 150_000, 10_000, 4, 32, ADAM, 500, 120_000, 0.02, 3, 4, 10_000)


class CartPole:
    """Poles to be balanced, side by side; an episode is cut off after 500 steps."""

    settings, window = CARTPOLE, 100
    preprocess = None

    def __init__(self, count: int, seed: int) -> None:
        gymnasium = _imported("gymnasium")
        modes = gymnasium.vector.AutoresetMode
        self.games = gymnasium.make_vec(
            "CartPole-v1",
            num_envs=count,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": modes.SAME_STEP},
        )
        self.actions = int(self.games.single_action_space.n)
        self.frames = self.games.reset(seed=seed)[0]

    def step(self, actions):
        self.frames, rewards, terminated, truncated, _ = self.games.step(actions)
        return rewards, terminated, truncated

    def network(self):
        hidden = {"bias": 0.0, "activation": layers.Rectlin()}
        return [layers.Affine(128, **hidden), layers.Affine(128, **hidden), self.head()]

    def head(self):
        return layers.Affine(self.actions, bias=0.0)


class Atari(CartPole):
    """Games of the Arcade Learning Environment, four frames a step, as 84 × 84 grey images."""

    settings, window = ATARI, 20

    @staticmethod
    def preprocess(frames):
        """The frames of each observation, which come before height and width, as channels."""
        return ops.moveaxis(layers.unit_range(frames), 1, -1)

    def __init__(self, name: str, count: int, seed: int) -> None:
        _imported("gymnasium")
        ale = _imported("ale_py.vector_env")
        try:
            self.games = ale.AtariVectorEnv(
                name,
                count,
                stack_num=1,
                reward_clipping=False,
                autoreset_mode=ale.AutoresetMode.SAME_STEP,
            )
        except Exception as error:
            raise SystemExit(f"there is no Atari game {name!r}: {error}") from None
        self.actions = int(self.games.single_action_space.n)
        self.frames = self.games.reset(seed=seed)[0][:, 0]

    def step(self, actions):
        frames, rewards, terminated, truncated, _ = self.games.step(actions)
        self.frames = frames[:, 0]
        return rewards, terminated, truncated

    def network(self):
        relu = {"init": layers.Kaiming(), "bias": 0.0, "activation": layers.Rectlin()}
        return [
            layers.Conv((8, 8, 16), strides=4, **relu),
            layers.Conv((4, 4, 32), strides=2, **relu),
            layers.Affine(256, **relu),
            self.head(),
        ]


class Player:
    """An agent, its games and its memory; `play` is one step of all games."""

    def __init__(self, games, seed: int, backend: str | None) -> None:
        self.games, self.settings = games, games.settings
        self.random = np.random.default_rng(seed)
        self.agent = layers.QLearning(
            games.network(),
            self.settings.optimizer,
            preprocess=games.preprocess,
            seed=seed,
            backend=backend,
        )
        self.memory = data.Replay(
            self.settings.capacity,
            len(games.frames),
            games.frames.shape[1:],
            games.frames.dtype,
            stack=self.settings.stack,
            steps=self.settings.ahead,
        )
        self.seen = data.FrameStack(games.frames, self.settings.stack)
        self.returns = np.zeros(len(games.frames))
        self.finished: deque[float] = deque(maxlen=games.window)
        self.steps, self.updates = 0, 0

    @property
    def exploration(self) -> float:
        left = max(0.0, 1 - self.steps / self.settings.explored)
        return self.settings.exploration + left * (1 - self.settings.exploration)

    def example(self) -> data.Transitions:
        """Transitions as they will be, of zeros."""
        rows = self.settings.batch
        seen = np.zeros((rows, *self.seen.observations.shape[1:]), self.games.frames.dtype)
        numbers = np.zeros(rows, np.float32)
        return data.Transitions(seen, np.zeros(rows, np.int32), numbers, numbers, seen)

    def play(self) -> None:
        frames = self.games.frames
        actions = self.agent.act(self.seen.observations, self.random, self.exploration)
        rewards, terminated, truncated = self.games.step(actions)
        self.memory.add(frames, actions, np.clip(rewards, -1, 1), terminated, truncated)
        last = np.logical_or(terminated, truncated)
        self.seen.push(self.games.frames, last)
        self.returns += rewards
        self.finished.extend(self.returns[last])
        self.returns[last] = 0
        self.steps += len(actions)

    def learn(self) -> None:
        self.agent.step(self.memory.sample(self.random, self.settings.batch))
        self.updates += 1
        if self.updates % self.settings.synchronise == 0:
            self.agent.synchronise()

    def run(self, until: int) -> None:
        """Play, and learn on the way, until so many steps were made."""
        owed = 0.0
        while self.steps < until:
            self.play()
            if len(self.memory) >= self.settings.start:
                owed += len(self.games.frames) / self.settings.every
                while owed >= 1:
                    self.learn()
                    owed -= 1


def train(player: Player, out: Path, steps: int, minutes: float) -> float:
    """The mean return of the last episodes; `out` gets a checkpoint, a table and a chart."""
    checkpoint = out / "agent.safetensors"
    curve = resumed(player, checkpoint)
    spent = curve[-1][0] * 60 if curve else 0.0
    start, before = perf_counter() - spent, player.steps
    begun = perf_counter()
    while player.steps < steps and perf_counter() - start < minutes * 60:
        player.run(min(steps, player.steps + player.settings.report))
        now = perf_counter()
        mean = float(np.mean(player.finished)) if player.finished else float("nan")
        curve.append(((now - start) / 60, player.steps, mean))
        speed = (player.steps - before) / (now - begun)
        left = min((steps - player.steps) / speed, minutes * 60 - (now - start))
        print(
            f"{player.steps:>9,} steps, {(now - start) / 60:5.1f} min: mean return {mean:7.2f} of "
            f"the last {len(player.finished)}, exploration {player.exploration:.2f}, "
            f"{speed:,.0f} steps/s, {max(left, 0) / 60:.0f} min left",
            flush=True,
        )
        player.agent.save(checkpoint, {"curve": curve, "updates": player.updates})
        picture(curve, out, player.settings.report)
    return curve[-1][2]


def resumed(player: Player, checkpoint: Path) -> list[tuple[float, int, float]]:
    """The curve so far, after the agent took up a checkpoint if there is one.

    The memory is not kept: the agent first fills it again, with what it has learned.
    """
    if not checkpoint.exists():
        return []
    meta = player.agent.load(checkpoint, player.example())
    curve = [tuple(point) for point in meta["curve"]]
    player.steps, player.updates = curve[-1][1], meta["updates"]
    return curve


def picture(curve: list[tuple[float, int, float]], out: Path, report: int) -> None:
    """Writes the curve, a point every `report` steps, as a table and as a chart."""
    with open(out / "curve.csv.new", "w", newline="") as file:
        csv.writer(file).writerows([("minutes", "steps", "mean return"), *curve])
    os.replace(out / "curve.csv.new", out / "curve.csv")
    if any(np.isfinite(point[2]) for point in curve):
        history = {"mean return": [point[2] for point in curve]}
        title = f"A point every {report:,} steps, {curve[-1][0]:.0f} minutes"
        learning_curves(history, out / "curve.png", title)


def sheet(player: Player, path: Path, frames: int = 48) -> None:
    """Writes what the agent sees in a game of its own, frame after frame, as one picture."""
    image = _imported("PIL.Image")
    shown = []
    for _ in range(frames):
        shown.append(player.games.frames[0])
        for _ in range(2):
            actions = player.agent.act(player.seen.observations, player.random, 0.01)
            _, terminated, truncated = player.games.step(actions)
            player.seen.push(player.games.frames, np.logical_or(terminated, truncated))
    rows = [np.concatenate(shown[i : i + 8], axis=1) for i in range(0, frames, 8)]
    image.fromarray(np.concatenate(rows)).save(path)


def _imported(name: str):
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise SystemExit(f"{name} is missing: pip install 'anode[games]'") from None


def main(
    game: str = "cartpole",
    steps: int | None = None,
    minutes: float = 60.0,
    seed: int = 0,
    out: str = "runs/dqn",
    backend: str | None = None,
) -> float:
    """The mean return of the last episodes: 100 of CartPole, 20 of an Atari game."""
    folder = Path(out, game)
    folder.mkdir(parents=True, exist_ok=True)
    kind = CartPole if game == "cartpole" else Atari
    count = kind.settings.environments
    games = CartPole(count, seed) if game == "cartpole" else Atari(game, count, seed)
    player = Player(games, seed, backend)
    mean = train(player, folder, steps or kind.settings.steps, minutes)
    if kind is Atari:
        sheet(player, folder / "frames.png")
    return mean


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("game", nargs="?", default="cartpole", help="cartpole, pong, breakout, …")
    parser.add_argument("--steps", type=positive, help="by default 100,000, and 2,000,000 of Atari")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/dqn")
    parser.add_argument("-b", "--backend", choices=("cpu", "reference"))
    with plain_errors():
        try:
            print(f"mean return {main(**vars(parser.parse_args())):.2f}")
        except KeyboardInterrupt:
            sys.exit("stopped; the same command goes on from the last report")
