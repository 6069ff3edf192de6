"""From a chat endpoint's reply to probabilities over a closed set: token log-probabilities, or votes of its text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivelet.core.artifacts import UNKNOWN, Question, Scored

Token = tuple[str, float, Sequence[tuple[str, float]]]
"""A generated token: its text, its log-probability, and the (text, log-probability) of the likeliest at its place."""

LEAST_MASS = 1e-3
"""Below this share on the closed set, a normalised distribution would be noise: the reply counts as invalid."""
NOTHING = math.log(1e-9)
"""The log mass of a reply that says nothing about the set: finite, so that it may be written as JSON."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one request brought: a text a sample, and the tokens of the first where the endpoint tells them.

    `input_tokens` and `output_tokens` are what the endpoint counted, or what was expected where it counts none.
    """

    texts: tuple[str, ...]
    tokens: tuple[Token, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0


def scored(question: Question, reply: Reply) -> tuple[Scored, bool]:
    """Return the answer to a question, and whether the reply said anything about the closed set.

    Token log-probabilities are used where they spell the text; otherwise every sample is one vote.
    """
    if reply.tokens and reply.texts and _end_of(reply.texts[0], reply.tokens) is not None:
        return _from_tokens(question, reply.texts[0], reply.tokens)
    return _from_votes(question, reply.texts)


def parse(text: str, choices: Sequence[str]) -> str | None:
    """Return the choice that a text is, whatever its case and with or without a final full stop; None otherwise."""
    plain = text.strip().casefold()
    for spelt in (plain, plain.removesuffix(".").rstrip()):
        for choice in choices:
            if spelt == choice.casefold():
                return choice
    return None


def set_mass(text: str, tokens: Sequence[Token], choices: Sequence[str]) -> dict[str, float]:
    """Return the probability that falls on each choice, walking along the generated tokens.

    At every place, the likeliest tokens that were not taken count for the choices that the text so far, with that
    token, can still become: wholly where it is one, in equal shares where several begin so. What no choice begins with,
    and what the endpoint did not list, is the tail, and in no choice's sum. The taken path counts for the choice that
    it spells to its end. Where the endpoint tells no end token, the whole path counts for the spelt choice, though a
    longer one might have followed: greedy decoding preferred to end there.
    """
    mass = dict.fromkeys(choices, 0.0)
    end = _end_of(text, tokens)
    stops = {token for token, _, _ in tokens[end:][:1]} if end is not None else set[str]()
    reach, so_far = 1.0, ""
    for place, (token, log_prob, likeliest) in enumerate(tokens):
        for other, other_log_prob in likeliest:
            owners = _owners(so_far, other, choices, stops) if other != token else []
            for choice in owners:
                mass[choice] += reach * math.exp(other_log_prob) / len(owners)
        reach *= math.exp(log_prob)
        if place == end:
            break
        so_far += token
    answer = parse(text, choices)
    if answer is not None:
        mass[answer] += reach
    return mass


def _from_tokens(question: Question, text: str, tokens: Sequence[Token]) -> tuple[Scored, bool]:
    mass = set_mass(text, tokens, question.choices)
    total = sum(mass.values())
    if total < LEAST_MASS:
        return _from_votes(question, [""])
    said = parse(text, question.choices)
    greedy = all(log_prob >= max((other for _, other in others), default=log_prob) for _, log_prob, others in tokens)
    return Scored(
        field=question.field,
        answer=said or max(question.choices, key=lambda choice: mass[choice]),
        probs={choice: mass[choice] / total for choice in question.choices},
        # Endpoints round: a sum may come out a little above one.
        log_mass=min(0.0, math.log(total)),
        in_set=said is not None and greedy,
    ), True


def _from_votes(question: Question, texts: Sequence[str]) -> tuple[Scored, bool]:
    """The posterior mean under one prior vote spread evenly over the choices (Perks 1947): one sample proves little."""
    votes = [answer for text in texts if (answer := parse(text, question.choices)) is not None]
    even = 1 / len(question.choices)
    probs = {choice: (votes.count(choice) + even) / (len(votes) + 1) for choice in question.choices}
    abstained = UNKNOWN if UNKNOWN in question.choices else question.choices[0]
    return Scored(
        field=question.field,
        answer=max(question.choices, key=lambda choice: probs[choice]) if votes else abstained,
        probs=probs,
        log_mass=math.log(len(votes) / len(texts)) if votes else NOTHING,
        in_set=bool(votes),
    ), bool(votes)


def _end_of(text: str, tokens: Sequence[Token]) -> int | None:
    """Return how many tokens spell the text (what follows ends it); None where they do not spell it."""
    spelt = ""
    for place in range(len(tokens) + 1):
        if spelt.strip() == text.strip():
            return place
        spelt += tokens[place][0] if place < len(tokens) else ""
    return None


def _owners(so_far: str, token: str, choices: Sequence[str], stops: set[str]) -> list[str]:
    """Return the choices that a text can be or become when `token` follows it."""
    if token not in stops and token:
        begun = (so_far + token).lstrip().casefold()
        found = [choice for choice in choices if choice.casefold().startswith(begun)]
        if found or token.strip(" \r\n\t."):
            return found
    # The text ends here, or with a full stop or a blank.
    ended = parse(so_far, choices)
    return [ended] if ended is not None else []


def as_json(reply: Reply) -> dict[str, Any]:
    """Return plain data that `from_json` reads back."""
    return {"texts": reply.texts, "tokens": reply.tokens, "usage": (reply.input_tokens, reply.output_tokens)}


def from_json(data: Mapping[str, Any]) -> Reply:
    """Return the reply that `as_json` described."""
    return Reply(
        texts=tuple(data["texts"]),
        tokens=tuple((text, log_prob, tuple((t, p) for t, p in others)) for text, log_prob, others in data["tokens"]),
        input_tokens=data["usage"][0],
        output_tokens=data["usage"][1],
    )
