"""Closed answer sets as token tries: exact probabilities of every answer from one forward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from drivelet.core.errors import InputError
from drivelet.vlm.batch import Node, chain
from drivelet.vlm.processor import ChatProcessor


@dataclass(frozen=True, kw_only=True)
class AnswerTrie:
    """The token paths of a closed set.

    `steps[c]` lists the (inner node, token) decisions that spell choice c. Inner node 0 is the last token of the
    question; an inner node exists only where a decision is made below it, so single-token answers cost no tokens. The
    end token is a decision only where one answer is a prefix of another.
    """

    choices: tuple[str, ...]
    steps: tuple[tuple[tuple[int, int], ...], ...]
    nodes: tuple[Node, ...]

    def log_probs(self, log_probs_NV: torch.Tensor) -> torch.Tensor:
        """Return log p(choice), shape (C,), from next-token log-probabilities at the inner nodes, shape (N, V)."""
        return torch.stack(
            [sum((log_probs_NV[n, t] for n, t in path), log_probs_NV.new_zeros(())) for path in self.steps]
        )

    def is_greedy(self, choice: int, log_probs_NV: torch.Tensor) -> bool:
        """Return whether greedy decoding over the whole vocabulary spells this choice."""
        return all(int(log_probs_NV[node].argmax()) == token for node, token in self.steps[choice])


def answer_trie(processor: ChatProcessor, choices: Sequence[str]) -> AnswerTrie:
    """Build the trie of a closed set for a tokenizer.

    Raises:
        InputError: the tokenizer spells two answers alike, or one with nothing.
    """
    spelled = tuple((choice, processor.tokens(choice)) for choice in choices)
    told = {tokens: choice for choice, tokens in reversed(spelled)}
    for choice, tokens in spelled:
        if not tokens or told[tokens] != choice:
            as_what = f"as {told[tokens]!r}" if tokens else "with no token"
            raise InputError(
                f"{processor.tokenizer.name_or_path}: the tokenizer spells {choice!r} {as_what}; it is damaged"
            )
    return _build(spelled, processor.end_id)


@lru_cache(maxsize=256)
def _build(spelled: tuple[tuple[str, tuple[int, ...]], ...], end_id: int) -> AnswerTrie:
    paths = {tokens for _, tokens in spelled}
    prefixes = {tokens[:size] for tokens in paths for size in range(len(tokens))}
    full = [(*tokens, end_id) if tokens in prefixes else tokens for _, tokens in spelled]
    inner = sorted({path[:size] for path in full for size in range(len(path))}, key=lambda p: (len(p), p))
    index: Mapping[tuple[int, ...], int] = {path: number for number, path in enumerate(inner)}
    steps = tuple(tuple((index[path[:size]], path[size]) for size in range(len(path))) for path in full)
    nodes = tuple(Node(token=path[-1], parent=index[path[:-1]] - 1) for path in inner[1:])
    return AnswerTrie(choices=tuple(choice for choice, _ in spelled), steps=steps, nodes=nodes)


@dataclass(frozen=True, kw_only=True)
class ScoringBranch:
    """A question's branch ready to pack, and where it decides: `decisions[n]` is the branch node of inner node n."""

    nodes: tuple[Node, ...]
    decisions: tuple[int, ...]
    trie: AnswerTrie


def scoring_branch(processor: ChatProcessor, text: str, choices: Sequence[str]) -> ScoringBranch:
    """Return the branch that asks `text` and scores every choice."""
    question = [*processor.tokens(text), *processor.suffix_ids]
    trie = answer_trie(processor, choices)
    last = len(question) - 1
    hung = [Node(token=n.token, parent=last + 1 + n.parent) for n in trie.nodes]
    return ScoringBranch(
        nodes=(*chain(question), *hung), decisions=tuple(last + n for n in range(len(hung) + 1)), trie=trie
    )


@dataclass(frozen=True, kw_only=True)
class TrainingBranch:
    """A question's branch for training: the decisions of the whole closed set, and the path of one answer.

    `path[k]` is the branch node whose next token is `tokens[k]`; the last token is the end token.
    """

    nodes: tuple[Node, ...]
    decisions: tuple[int, ...]
    path: tuple[int, ...]
    tokens: tuple[int, ...]
    trie: AnswerTrie


def training_branch(processor: ChatProcessor, text: str, choices: Sequence[str], answer: str) -> TrainingBranch:
    """Return the branch that asks `text`, scores every choice, and spells `answer` up to the end token."""
    asked = scoring_branch(processor, text, choices)
    nodes, children = list(asked.nodes), {(n.parent, n.token): i for i, n in enumerate(asked.nodes)}
    at, path, tokens = asked.decisions[0], [], (*processor.tokens(answer), processor.end_id)
    for token in tokens:
        path.append(at)
        child = children.get((at, token))
        if child is None and token != processor.end_id:
            nodes.append(Node(token=token, parent=at))
            child = len(nodes) - 1
        at = child if child is not None else at
    return TrainingBranch(
        nodes=tuple(nodes), decisions=asked.decisions, path=tuple(path), tokens=tokens, trie=asked.trie
    )


def answer_branch(processor: ChatProcessor, text: str, answer: str) -> tuple[list[Node], int]:
    """Return the branch of a question followed by its answer and the end token, and the count of answer tokens."""
    answer_ids = [*processor.tokens(answer), processor.end_id]
    return chain([*processor.tokens(text), *processor.suffix_ids, *answer_ids]), len(answer_ids)
