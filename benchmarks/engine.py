"""The engine against one `generate` a question, as a ratio in one run: python benchmarks/engine.py [MODEL]"""

import sys
import time
from importlib.resources import files

import numpy as np

from drivelet import tasks
from drivelet.core.artifacts import Question
from drivelet.runtime.engine import Engine
from drivelet.vlm.load import set_threads

FRAMES = 20


def main() -> None:
    """Print milliseconds a frame for both ways and their ratio."""
    set_threads()
    model = sys.argv[1] if len(sys.argv) > 1 else str(files("drivelet") / "minis" / "student-mini")
    engine = Engine.from_pretrained(model)
    questions = [Question(field=f.name, text=f.question, choices=f.choices) for f in tasks.fields().values()]
    image = np.random.default_rng(0).integers(0, 255, (192, 320, 3), dtype=np.uint8)
    engine.score(image, questions)
    started = time.perf_counter()
    for _ in range(FRAMES):
        engine.score(image, questions)
    packed = (time.perf_counter() - started) / FRAMES
    started = time.perf_counter()
    for _ in range(FRAMES // 4):
        for question in questions:
            engine.generate(image, question.text, max_new_tokens=4)
    single = (time.perf_counter() - started) / (FRAMES // 4)
    print(f"{engine.name}: {len(questions)} questions a frame")
    print(f"one packed forward   {packed * 1000:8.1f} ms a frame")
    print(f"generate a question  {single * 1000:8.1f} ms a frame")
    print(f"ratio                {single / packed:8.2f}")


if __name__ == "__main__":
    main()
