"""A vision-language model as a labeler."""

from collections.abc import Mapping, Sequence

from drivelet.core.artifacts import Field, ImageArray, Prompt, Question
from drivelet.core.ports import VisionLanguageModel


class VlmLabeler:
    """Asks every field once and votes with the model's own probabilities.

    Args:
        model: scores closed answers.
        fields: the questions to ask.
        prompts: a wording for some fields instead of the canonical question; `{question}` stands for that question.
        name: what its votes are filed under; the model's name otherwise. Two prompts of one model need two names.
        family: models that share training data or a parent share their mistakes, and so a family.
    """

    def __init__(
        self,
        model: VisionLanguageModel,
        fields: Sequence[Field],
        *,
        prompts: Mapping[str, Prompt] | None = None,
        name: str = "",
        family: str = "vlm",
    ) -> None:
        self.model = model
        self._questions = [_question(field, (prompts or {}).get(field.name)) for field in fields]
        self.name = name or model.name
        self.family = family
        self.fields = tuple(field.name for field in fields)

    @property
    def asks_many(self) -> bool:
        """Whether the model takes questions about several images at once and keeps its answers."""
        return hasattr(self.model, "score_many")

    def prepare(self, images: Sequence[ImageArray]) -> None:
        """Ask about several images at once where the model `asks_many`; `label` then finds the answers kept."""
        ask = getattr(self.model, "score_many", None)
        if ask is not None:
            ask([(image, question) for image in images for question in self._questions])

    def label(self, image: ImageArray) -> Mapping[str, Mapping[str, float]]:
        """Return the model's probabilities over the choices of every field."""
        return {scored.field: dict(scored.probs) for scored in self.model.score(image, self._questions)}


def _question(field: Field, prompt: Prompt | None) -> Question:
    if prompt is None:
        return Question(field=field.name, text=field.question, choices=field.choices)
    text = prompt.text.replace("{question}", field.question)
    return Question(field=field.name, text=text, choices=field.choices, prompt_id=prompt.version)
