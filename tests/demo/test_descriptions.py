"""Training sentences: each is true of its own scene, and says which other scenes it is true of."""

from __future__ import annotations

import random

import numpy as np

from connector.demo.scene import Scene
from connector.demo.words import VOCABULARY, tokens
from tests.demo.descriptions import AXES, WIDTH, describe, numbers, one_hot
from tests.demo.split import held_back, scenes

SCENE = Scene("mug", "red", "dotted", "sky", 2, "large")


def test_a_description_is_true_of_its_scene() -> None:
    rng = random.Random(0)
    mine = one_hot(np.array([numbers(SCENE)]))
    for _ in range(500):
        told = describe(SCENE, rng)
        assert told.allowed.shape == (WIDTH,)
        assert (mine @ told.allowed).item() == len(AXES)


def test_a_description_is_false_of_scenes_that_differ_in_what_it_says() -> None:
    rng = random.Random(1)
    other = one_hot(np.array([numbers(Scene("fish", "blue", "plain", "sand", 1, "small"))]))
    assert all((other @ describe(SCENE, rng).allowed).item() < len(AXES) for _ in range(500))


def test_descriptions_use_the_vocabulary_and_one_stranger() -> None:
    rng = random.Random(2)
    chosen = scenes(300, seed=5, unseen=False)
    used = {token for scene in chosen for _ in range(40) for token in tokens(describe(scene, rng).text)}
    assert used - set(VOCABULARY) == {"zzz"}
    assert set(VOCABULARY) <= used


def test_training_and_evaluation_share_no_combination() -> None:
    seen = {scene.look for scene in scenes(3000, seed=0, unseen=False)}
    fresh = {scene.look for scene in scenes(1000, seed=1, unseen=True)}
    assert seen.isdisjoint(fresh)
    assert len(fresh) > 200
    assert held_back(Scene("mug", "red", "plain", "sky")) == held_back(
        Scene("mug", "red", "plain", "sand", 3)
    )


def test_scenes_are_different_and_the_same_every_time() -> None:
    chosen = scenes(400, seed=3, unseen=True)
    assert len(set(chosen)) == 400
    assert chosen == scenes(400, seed=3, unseen=True)
