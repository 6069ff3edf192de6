"""Closed answer sets: the trie's probabilities are those of the token sequences, asked one by one."""

import math

import pytest
import torch

from drivelet.core.artifacts import ImageArray
from drivelet.runtime.engine import decision_logits
from drivelet.vlm.answers import answer_branch, answer_trie, scoring_branch, training_branch
from drivelet.vlm.batch import hidden_states, pack
from drivelet.vlm.load import Loaded
from tiny_vlm import LAMP, LAMP_TEXT, LESSONS, SIGN, SIGN_TEXT, full_logits, noise, solid

SETS = (("red", "green"), LAMP, SIGN, ("5", "50", "500"), ("0", "1-2", "3-5", "6-10", ">10", "unknown"))


def brute_force(loaded: Loaded, image: ImageArray, text: str, choices: tuple[str, ...]) -> dict[str, float]:
    """Return log p of each choice from one conversation each, the end token counted only after a prefix of another."""
    spelled = {choice: loaded.processor.tokens(choice) for choice in choices}
    found = {}
    for choice, ids in spelled.items():
        extended = any(o[: len(ids)] == ids and len(o) > len(ids) for o in spelled.values())
        target = (*ids, loaded.processor.end_id) if extended else ids
        logits_LV = full_logits(loaded, image, text, ids)
        rows = logits_LV[-len(ids) - 1 :][: len(target)].log_softmax(-1)
        found[choice] = float(rows[range(len(target)), list(target)].sum())
    return found


def trie_log_probs(loaded: Loaded, image: ImageArray, text: str, choices: tuple[str, ...]) -> dict[str, float]:
    branch = scoring_branch(loaded.processor, text, choices)
    with torch.inference_mode():
        (logits_NV,) = decision_logits(loaded, pack(loaded, image, [branch.nodes]), [branch])
    return dict(zip(branch.trie.choices, branch.trie.log_probs(logits_NV.log_softmax(-1)).tolist(), strict=True))


def test_the_tokenizer_gives_single_and_multi_token_answers_and_prefixes(tiny: Loaded) -> None:
    assert len(tiny.processor.tokens("red")) == 1
    assert len(tiny.processor.tokens("unknown")) > 2
    assert tiny.processor.tokens("50")[:1] == tiny.processor.tokens("5")


@pytest.mark.parametrize("choices", SETS)
def test_probabilities_equal_those_of_each_sequence(tiny: Loaded, choices: tuple[str, ...]) -> None:
    image = noise(1)
    expected = brute_force(tiny, image, "Lamp?", choices)
    assert trie_log_probs(tiny, image, "Lamp?", choices) == pytest.approx(expected, abs=1e-4)


def test_probabilities_equal_those_of_each_sequence_after_learning(taught: Loaded) -> None:
    image = solid(LESSONS[1][0])
    for text, choices in ((LAMP_TEXT, LAMP), (SIGN_TEXT, SIGN)):
        expected = brute_force(taught, image, text, choices)
        assert trie_log_probs(taught, image, text, choices) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("choices", SETS)
def test_no_two_answers_share_mass(tiny: Loaded, choices: tuple[str, ...]) -> None:
    total = sum(math.exp(p) for p in trie_log_probs(tiny, noise(2), "Limit?", choices).values())
    assert 0 < total <= 1 + 1e-6


def test_single_token_answers_cost_no_tokens(tiny: Loaded) -> None:
    assert answer_trie(tiny.processor, ("red", "green", "none")).nodes == ()
    assert len(answer_trie(tiny.processor, ("5", "50")).nodes) == 1


def test_the_end_token_decides_only_after_a_prefix(tiny: Loaded) -> None:
    trie, end = answer_trie(tiny.processor, ("5", "50", "red")), tiny.processor.end_id
    assert [path[-1][1] == end for path in trie.steps] == [True, False, False]


def test_every_decision_hangs_below_the_tokens_before_it(tiny: Loaded) -> None:
    choices = ("5", "50", "500", "unknown")
    trie = answer_trie(tiny.processor, choices)
    for choice, path in zip(trie.choices, trie.steps, strict=True):
        for node, _ in path:
            spelled, at = [], node
            while at > 0:
                spelled.insert(0, trie.nodes[at - 1].token)
                at = trie.nodes[at - 1].parent + 1
            assert tuple(spelled) == tiny.processor.tokens(choice)[: len(spelled)]


def is_greedy(table: dict[str, dict[str, float]], loaded: Loaded, choices: tuple[str, ...], answer: str) -> bool:
    """Ask whether greedy decoding spells an answer, with scores given per inner node in the order of the nodes."""
    trie = answer_trie(loaded.processor, choices)
    logits_NV = torch.zeros(len(trie.nodes) + 1, len(loaded.processor.tokenizer))
    for number, scores in enumerate(table.values()):
        for token, score in scores.items():
            at = loaded.processor.end_id if token == "end" else loaded.processor.tokens(token)[0]
            logits_NV[number, at] = score
    return trie.is_greedy(choices.index(answer), logits_NV.log_softmax(-1))


def test_greedy_spells_the_longer_or_the_shorter_answer(tiny: Loaded) -> None:
    choices = ("5", "50", "red")
    for table, spelled in (
        ({"start": {"5": 9}, "5": {"0": 9}}, "50"),
        ({"start": {"5": 9}, "5": {"end": 9}}, "5"),
        ({"start": {"red": 9}}, "red"),
    ):
        assert [answer for answer in choices if is_greedy(table, tiny, choices, answer)] == [spelled]


def test_greedy_says_when_the_model_would_leave_the_set(tiny: Loaded) -> None:
    assert not is_greedy({"start": {"g": 9, "red": 5}}, tiny, ("red", "5"), "red")
    assert not is_greedy({"start": {"5": 9}, "5": {"1": 9, "0": 5}}, tiny, ("5", "50"), "50")


@pytest.mark.parametrize("answer", SIGN)
def test_a_training_branch_spells_its_answer_up_to_the_end(tiny: Loaded, answer: str) -> None:
    branch = training_branch(tiny.processor, SIGN_TEXT, SIGN, answer)
    ids = tiny.processor.tokens(answer)
    assert branch.tokens == (*ids, tiny.processor.end_id)
    asked = (*tiny.processor.tokens(SIGN_TEXT), *tiny.processor.suffix_ids)
    assert branch.path[0] == branch.decisions[0] == len(asked) - 1
    for before, node, token in zip(branch.path[:-1], branch.path[1:], ids, strict=True):
        assert (branch.nodes[node].parent, branch.nodes[node].token) == (before, token)


@pytest.mark.parametrize("answer", SIGN)
def test_a_training_branch_scores_as_the_plain_conversation_does(tiny: Loaded, answer: str) -> None:
    branch, image = training_branch(tiny.processor, SIGN_TEXT, SIGN, answer), noise(3)
    packed = pack(tiny, image, [branch.nodes])
    start = int((packed.branch_BL == -1).sum())
    with torch.inference_mode():
        hidden_LD = hidden_states(tiny.model, packed)[0]
        logits_NV = tiny.model.lm_head(hidden_LD[[start + node for node in branch.path]])
    expected = full_logits(tiny, image, SIGN_TEXT, branch.tokens[:-1])[-len(branch.tokens) :]
    torch.testing.assert_close(logits_NV, expected, atol=1e-4, rtol=0)


def test_a_training_branch_adds_only_what_the_answer_lacks(tiny: Loaded) -> None:
    asked = scoring_branch(tiny.processor, SIGN_TEXT, SIGN)
    assert len(training_branch(tiny.processor, SIGN_TEXT, SIGN, "5").nodes) == len(asked.nodes)
    assert len(training_branch(tiny.processor, SIGN_TEXT, SIGN, "50").nodes) == len(asked.nodes) + 1


def test_an_answer_branch_ends_with_the_answer(tiny: Loaded) -> None:
    nodes, length = answer_branch(tiny.processor, LAMP_TEXT, "unknown")
    expected = (*tiny.processor.tokens("unknown"), tiny.processor.end_id)
    assert length == len(expected) and tuple(node.token for node in nodes[-length:]) == expected
    assert [node.parent for node in nodes] == list(range(-1, len(nodes) - 1))
