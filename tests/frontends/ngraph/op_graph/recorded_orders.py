"""Programs of assignments and reads in random order, and what they leave behind.

`results(ng, ngt)` runs them; with ngraph-python ac032c83 itself (Python 3.6) this file writes
recorded_orders.json.
"""

import json
import os
import random

SEEDS = 25


def expression(ng, choose, states, known):
    """A new op on two of the states and the last ops."""
    a, b = choose(states + known[-2:]), choose(states + known[-2:])
    made = choose([lambda: a + b, lambda: a * 0.5 + b, lambda: a - b * 0.25])()
    known.append(made)
    return made


def sequence(ng, rng, states, known, depth=0):
    """An ng.sequential of assignments, values captured, ops old and new, and another sequence."""
    items = []
    for _ in range(rng.randint(2, 5)):
        kind = rng.random()
        if kind < 0.45:
            target = rng.choice(states)
            items.append(ng.assign(target, expression(ng, rng.choice, states, known)))
        elif kind < 0.6 and depth < 1:
            items.append(sequence(ng, rng, states, known, depth + 1))
        elif kind < 0.75:
            items.append(ng.value_of(rng.choice(states)))
        elif kind < 0.85:
            items.append(rng.choice(known))
        else:
            items.append(expression(ng, rng.choice, states, known))
    items.append(expression(ng, rng.choice, states, known))
    return ng.sequential(items)


def results(ng, ngt):
    """For each program and each of three calls: its value, and the three states after it."""
    found = []
    for seed in range(SEEDS):
        rng = random.Random(seed)
        states = [ng.persistent_tensor((), initial_value=float(i + 1)) for i in range(3)]
        known = []
        for _ in range(2):
            expression(ng, rng.choice, states, known)
        transformer = ngt.make_transformer()
        run = transformer.computation([sequence(ng, rng, states, known)])
        look = transformer.computation(list(states))
        found.append([[round(float(v), 4) for v in list(run()) + list(look())] for _ in range(3)])
    return found


if __name__ == "__main__":
    import ngraph
    import ngraph.transformers

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded_orders.json")
    with open(path, "w") as file:
        json.dump(results(ngraph, ngraph.transformers), file)
