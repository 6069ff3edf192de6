"""Whatever the logits, the answer is the likeliest of the probabilities, and `in_set` tells what greedy spells."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drivelet.core.artifacts import Question
from drivelet.core.errors import InputError
from drivelet.runtime.engine import _scored
from drivelet.vlm.answers import ScoringBranch, scoring_branch
from drivelet.vlm.load import Loaded

DIGITS = [str(number) for number in (*range(10), *range(10, 130, 10), 15, 55, 105)]
SETS = st.lists(st.sampled_from([*DIGITS, "red", "green", "none", "unknown"]), min_size=2, max_size=16, unique=True)


def branch_of(loaded: Loaded, choices: list[str]) -> tuple[Question, ScoringBranch]:
    question = Question(field="sign", text="Limit?", choices=tuple(choices))
    return question, scoring_branch(loaded.processor, question.text, question.choices)


@given(choices=SETS, seed=st.integers(0, 2**31), spread=st.sampled_from([0.1, 1.0, 10.0, 300.0]))
def test_the_answer_is_the_likeliest(tiny: Loaded, choices: list[str], seed: int, spread: float) -> None:
    question, branch = branch_of(tiny, choices)
    shape = (len(branch.decisions), len(tiny.processor.tokenizer))
    logits_NV = spread * torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    scored = _scored("tiny", question, branch, logits_NV)
    assert scored.answer == max(scored.probs, key=lambda choice: scored.probs[choice])
    assert scored.prob == max(scored.probs.values())
    assert sum(scored.probs.values()) == pytest.approx(1)
    spelled = [choice for number, choice in enumerate(choices) if branch.trie.is_greedy(number, logits_NV)]
    assert scored.in_set == (spelled == [scored.answer])


@given(choices=SETS, value=st.sampled_from([float("nan"), float("inf")]), data=st.data())
def test_logits_that_are_no_numbers_are_refused(tiny: Loaded, choices: list[str], value: float, data) -> None:
    question, branch = branch_of(tiny, choices)
    logits_NV = torch.zeros(len(branch.decisions), len(tiny.processor.tokenizer))
    row, column = (data.draw(st.integers(0, size - 1)) for size in logits_NV.shape)
    logits_NV[row, column] = value
    with pytest.raises(InputError, match="tiny: the logits of sign are NaN or infinite"):
        _scored("tiny", question, branch, logits_NV)


@given(choices=SETS)
def test_words_that_are_never_said_are_no_fault_but_a_set_of_them_is(tiny: Loaded, choices: list[str]) -> None:
    question, branch = branch_of(tiny, choices)
    logits_NV = torch.zeros(len(branch.decisions), len(tiny.processor.tokenizer))
    used = sorted({token for steps in branch.trie.steps for _, token in steps})
    unused = [token for token in range(logits_NV.shape[1]) if token not in used]
    logits_NV[:, unused] = -torch.inf
    assert sum(_scored("tiny", question, branch, logits_NV).probs.values()) == pytest.approx(1)
    logits_NV[0], logits_NV[0, unused] = -torch.inf, 0.0
    with pytest.raises(InputError, match="the logits of sign are NaN or infinite"):
        _scored("tiny", question, branch, logits_NV)
