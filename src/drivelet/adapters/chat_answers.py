"""From a chat endpoint's reply to probabilities over a closed set: token log-probabilities, or votes of its text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivelet.adapters.chat_reading import ENDS, OPENING, find, parse
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

    `finishes` says why each text ended (`stop`, `length`, `content_filter`), where the endpoint tells.
    `input_tokens` and `output_tokens` are what the endpoint counted, or what was expected where it counts none.
    """

    texts: tuple[str, ...]
    finishes: tuple[str, ...] = ()
    tokens: tuple[Token, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0


def scored(question: Question, reply: Reply) -> tuple[Scored, bool]:
    """Return the answer to a question, and whether the reply said anything about the closed set.

    Token log-probabilities are used where they spell the text and name rivals; otherwise every sample is one vote.
    """
    texts = _whole_texts(reply, question.choices)
    weighed = any(other != token for token, _, likeliest in reply.tokens for other, _ in likeliest)
    if weighed and texts and texts[0] is not None and _end_of(texts[0], reply.tokens) is not None:
        return _from_tokens(question, texts[0], reply.tokens)
    return _from_votes(question, texts)


def _whole_texts(reply: Reply, choices: Sequence[str]) -> list[str | None]:
    """Return the texts, None for one that a filter took or that may have been cut within its answer ("5" of "50")."""
    finishes = reply.finishes or ("",) * len(reply.texts)
    return [
        None if finish == "content_filter" or (finish == "length" and _may_go_on(text, choices)) else text
        for text, finish in zip(reply.texts, finishes, strict=True)
    ]


def _may_go_on(text: str, choices: Sequence[str]) -> bool:
    found = find(text, choices)
    if found is None or found.end < len(text.rstrip()):
        return False
    return any(c != found.choice and c.casefold().startswith(found.choice.casefold()) for c in choices)


def set_mass(text: str, tokens: Sequence[Token], choices: Sequence[str]) -> dict[str, float]:
    """Return the probability that falls on each choice, walking along the generated tokens.

    At every place, the likeliest tokens that were not taken count for the choices that the text so far, with that
    token, can still become: wholly where it is one, in equal shares where several begin so. What no choice begins with,
    and what the endpoint did not list, is the tail, and in no choice's sum. The taken path counts for the choice that
    it spells, up to the token after it. Where the endpoint tells no end token, the whole path counts for the spelt
    choice, though a longer one might have followed: greedy decoding preferred to end there. What stands before the
    answer ("Answer:", a thought, an opening quote) is taken as given: how it is dressed says nothing about it.
    """
    mass = dict.fromkeys(choices, 0.0)
    end = _end_of(text, tokens)
    stops = {token for token, _, _ in tokens[end:][:1]} if end is not None else set[str]()
    spelt = "".join(token for token, _, _ in tokens[:end])
    found = find(spelt, choices)
    given = found.start if found and spelt[: found.start].strip() else 0
    last = found.end if found else len(spelt)
    reach, so_far, read = 1.0, "", 0
    for place, (token, log_prob, likeliest) in enumerate(tokens):
        before, read = read, read + len(token)
        if given and read <= given:
            continue
        for other, other_log_prob in likeliest:
            owners = _owners(so_far, other, choices, stops) if other != token else []
            for choice in owners:
                mass[choice] += reach * math.exp(other_log_prob) / len(owners)
        reach *= math.exp(log_prob)
        if place == end or before >= last:
            break
        so_far += token
    if found is not None:
        mass[found.choice] += reach
    return mass


def _from_tokens(question: Question, text: str, tokens: Sequence[Token]) -> tuple[Scored, bool]:
    mass = set_mass(text, tokens, question.choices)
    total = sum(mass.values())
    if total < LEAST_MASS:
        return _from_votes(question, [text])
    said = parse(text, question.choices)
    likeliest = max(question.choices, key=lambda choice: (mass[choice], choice == said))
    greedy = all(log_prob >= max((other for _, other in others), default=log_prob) for _, log_prob, others in tokens)
    return Scored(
        field=question.field,
        answer=likeliest,
        probs={choice: mass[choice] / total for choice in question.choices},
        # Endpoints round: a sum may come out a little above one.
        log_mass=min(0.0, math.log(total)),
        in_set=said == likeliest and greedy,
    ), True


def _from_votes(question: Question, texts: Sequence[str | None]) -> tuple[Scored, bool]:
    """The posterior mean under one prior vote spread evenly over the choices (Perks 1947): one sample proves little."""
    votes = [answer for text in texts if text is not None and (answer := parse(text, question.choices)) is not None]
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
    if token in stops or not token:
        ended = parse(so_far, choices)
        return [ended] if ended is not None else []
    begun = (so_far + token).lstrip()
    bare = begun.lstrip(OPENING).casefold()
    if begun and not bare:
        return []  # a dress alone
    begins = [choice for choice in choices if choice.casefold().startswith(bare)]
    return begins or [choice for choice in choices if choice.casefold() == bare.rstrip(ENDS)]


def as_json(reply: Reply) -> dict[str, Any]:
    """Return plain data that `from_json` reads back."""
    usage = (reply.input_tokens, reply.output_tokens)
    return {"texts": reply.texts, "finishes": reply.finishes, "tokens": reply.tokens, "usage": usage}


def from_json(data: Mapping[str, Any]) -> Reply:
    """Return the reply that `as_json` described."""
    return Reply(
        texts=tuple(data["texts"]),
        finishes=tuple(data["finishes"]),
        tokens=tuple((text, log_prob, tuple((t, p) for t, p in others)) for text, log_prob, others in data["tokens"]),
        input_tokens=data["usage"][0],
        output_tokens=data["usage"][1],
    )
