"""Write minis.json: what the shipped minis answer on six held-out renders. Run it after the weights change."""

import json
from importlib.resources import files
from pathlib import Path

from drivelet import tasks
from drivelet.recipes.steps import asker, pictures
from drivelet.runtime.engine import Engine
from drivelet.runtime.predict import predict

HERE = Path(__file__).parent


def answers(name: str) -> list[dict[str, object]]:
    """Return answer and probability of every field and frame for a shipped mini."""
    fields = tasks.fields()
    engine = Engine.from_pretrained(str(files("drivelet") / "minis" / name))
    found = predict(engine, pictures(HERE / "frames", fields, list(fields)), fields=fields, ask=asker(fields, None))
    return [
        {"image": Path(p["image"]).name, "task": p["task"], "answer": p["answer"], "prob": round(p["prob"], 4)}
        for p in found
    ]


if __name__ == "__main__":
    golden = {name: answers(name) for name in ("teacher-mini", "student-mini")}
    (HERE / "minis.json").write_text(json.dumps(golden, indent=1) + "\n")
