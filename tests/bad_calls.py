"""Settings out of their ranges, options that do not fit, and outputs that must not be written."""

import os
from collections.abc import Iterator
from pathlib import Path

from bad_world import Case

SET_COMMANDS = {
    "show mini": ("distil.steps", "mix.real_share", "label.hz", "world.val", "paint.guidance", "seed"),
    "run mini --out out": ("distil.learning_rate", "awq.group_size", "gold_rows", "ingest.max_gap_s"),
    "ingest drive.mp4 --out out": ("image_fps", "max_gap_s", "clock.step_s", "ego.stop_mps"),
    "label drive.mp4 --out out": ("hz", "chunk", "ledger.min_prob", "fuse.family_discount", "limits.timeout_s"),
    "mine images/manifest.csv --out out": ("hz", "apart_s", "least", "select.value_share", "embed.chunk"),
    "paint --painter painter --world render --out out": ("rounds", "guidance", "lora.learning_rate", "replay_share"),
    "mix images/manifest.csv --out out": (
        "real_share",
        "val_share",
        "min_prob",
        "looks.max_aspect",
        "search.grid.parts",
    ),
    "prompts optimise model --data images/manifest.csv --out out": ("rounds", "alpha", "router.min_recall"),
    "distil --teacher model --student model --data images/manifest.csv --out out": (
        "alpha",
        "temperature",
        "steps",
        "lora.rank",
        "lora.dropout",
    ),
    "study temporal --out out": ("hz", "drives.seconds", "resamples"),
    "study data --out out": ("train.steps", "mix.val_share", "seeds"),
    "study t2i --out out": ("test_prompts", "paint.rounds", "seeds"),
}
WRONG_VALUES = ("nan", "inf", "-1", "1e300", "many", "[]", "")
"""No setting above takes any of these."""
SETTINGS = (
    "show mini --set mix.real_share=2",
    "show mini --set label.hz=0",
    "show mini --set mix.val_share=5",
    "show mini --set distil.steps=1000000000000000000",
    "show mini --set seed=-3",
    "show mini --set distil.soft_target=everything",
    "show mini --set awq.bits=5",
    "show mini --set world.width=0",
    "show mini --set zoom.magnify=[3,1]",
    "show mini --set soft_labels.temperatures=[]",
    "show mini --set soft_labels.temperatures=[0]",
    "show mini --set world.domain.light={}",
    "show mini --set 'world.domain.light={\"day\":-1}'",
    "show mini --set 'world.domain.light={\"moon\":1}'",
    "show mini --set 'world.domain.light={\"day\":0}'",
    "show mini --set name=",
    "show mini --set =3",
    "show mini --set distil..steps=3",
    "show mini --set .=3",
    "study data --out out --set seeds=[]",
    "study data --out out --set seeds=[1,1]",
)
OPTIONS = (
    "predict model images/0.png --tasks , --out out/preds.jsonl",
    "predict model images/0.png --tasks traffic_light. --out out/preds.jsonl",
    "predict model images/0.png --threads -1 --out out/preds.jsonl",
    "predict model images/0.png --threads 1000000 --out out/preds.jsonl",
    "predict model images/0.png --threads 1.5 --out out/preds.jsonl",
    "predict model notes.txt --out out/preds.jsonl",
    "predict notes.txt images/0.png --out out/preds.jsonl",
    "predict images images/0.png --out out/preds.jsonl",
    "predict model render --out out/preds.jsonl",
    "bench model model --data images/manifest.csv --out out",
    "bench --data images/manifest.csv --out out",
    "quantise model --data images --bits 5 --out out",
    "quantise model --data images --group-size 7 --out out",
    "render --out out --num-frames 0",
    "render --out out --num-frames -1",
    "render --out out --num-frames 1000000000000000000",
    "render --out out --num-frames 3 --num-drives 3",
    "render --out out --seed -1 --num-frames 1 --plan",
    "render --out out --workers 0 --num-frames 1",
    "render --out out --recipe nothing --num-frames 1",
    "render --out out --domain nothing --num-frames 1",
    "render --out out",
    "mine images/manifest.csv --out out --budget 0",
    "mine images/manifest.csv --out out --budget many",
    "mine images/manifest.csv --out out --text traffic_light.state=blue",
    "mine images/manifest.csv --out out --text speed_mps<fast",
    "mine images/manifest.csv --out out --text (((",
    "mine images/manifest.csv --out out --text \x00",
    "mine images/manifest.csv --out out --like nowhere.png",
    "mine images/manifest.csv --out out --like notes.txt",
    "mine images/manifest.csv --out out --like d0:x",
    "mine images/manifest.csv --out out --hard",
    "mine images/manifest.csv --out out --hard --text speed_mps<1",
    "mine notes.txt --out out",
    "mine images --out out",
    "mix notes.txt --out out",
    "mix images/manifest.csv images/manifest.csv --out out",
    "mix render --out out",
    "mix images/manifest.csv --export png --out out",
    "mix images/manifest.csv --search --out out",
    "mix images/manifest.csv --set search.grid.parts=3 --out out",
    "label drive.mp4 drive.mp4 --out out",
    "label drive.mp4 --teacher --out out",
    "label drive.mp4 --teacher openai:m --out out",
    "label drive.mp4 --teacher openai:m@http://h:99999/v1 --out out",
    "label drive.mp4 --teacher openai:m@ftp://h/v1 --out out",
    "label drive.mp4 --teacher detector:nowhere --out out",
    "label drive.mp4 --teacher model --teacher model --out out",
    "label drive.mp4 --workers 0 --out out",
    "label drive.mp4 --executor cloud --out out",
    "label notes.txt --out out",
    "review labels --task blue",
    "review labels --port 65536",
    "review labels --port -1",
    "review labels --only some",
    "review images",
    "review nowhere",
    "review notes.txt",
    "ingest notes.txt --out out",
    "ingest images/manifest.csv --out out",
    "ingest drive.mp4 --out out --set alignment=cubic",
    "prompts show images",
    "prompts show notes.txt",
    "prompts optimise notes.txt --data images --out out",
    "report images",
    "report notes.txt",
    "report run/summary.json",
    "paint --painter images --world render --out out",
    "paint --painter model --world render --out out",
    "paint --world images --painter painter --out out",
    "paint --world notes.txt --painter painter --out out",
    "study nothing --out out",
    "study temporal --images images/manifest.csv --out out",
    "study temporal --workers 0 --out out",
    "run nothing --out out",
    "run minis --out out",
    "run mini --drives notes.txt --out out",
    "run mini --drives images/manifest.csv --out out",
    "run pretrain_minis --drives drive.mp4 --out out",
    "run pretrain_minis --images images/manifest.csv --out out",
    "show nothing",
    "nothing",
    "mine images/manifest.csv --out out --text ''",
    "mine images/manifest.csv --out out --like ''",
    "mine images/manifest.csv --out out --embedder ''",
    "label drive.mp4 --teacher model --set endpoint.samples=5 --out out",
    "label drive.mp4 --teacher model --set limits.retries=5 --out out",
    "label drive.mp4 --teacher model --gold test_only.csv --out out",
    "label drive.mp4 --teacher model --check other_drive.csv --out out",
    "mix labels --set min_prob=1 --out out",
    "mix images/manifest.csv --set 'shares={\"moon\":0.5}' --out out",
    "mix images/manifest.csv --set looks.min_side=1000000 --out out",
    "predict model images/manifest.csv --tasks cone.count --out out/preds.jsonl",
    "distil --teacher model --student model --data test_only.csv --out out",
    "distil --teacher model --student model --data images --set 'lora.targets=[\"roof\"]' --out out",
    "distil --teacher model --student model --data images --set 'lora.targets=[]' --out out",
    "quantise model --data test_only.csv --out out",
    "prompts optimise model --data test_only.csv --out out",
    "prompts optimise model --data train_only.csv --out out",
    "bench model --data train_only.csv --out out",
    "run mini --images test_only.csv --out out",
    "study data --images train_only.csv --out out",
    "review labels --task speed_limit",
    "paint --painter painter --world render --set 'prompts.views=[\"far\"]' --out out",
    "paint --painter painter --world render --set 'prompts.views=[]' --out out",
    "render --plan --coco --num-frames 1 --out out",
    "render --scenes plan.jsonl --domain world --out out",
    "distil --teacher model --student images --data images --out out",
    "distil --teacher images --student model --data images --out out",
    "distil --teacher model --student model --data render --out out",
)
OUTPUTS = {
    "predict model images/0.png --out": "file",
    "predict model images/manifest.csv --blind --out": "file",
    "ingest drive.mp4 --out": "folder",
    "label drive.mp4 --teacher model --out": "folder",
    "mine images/manifest.csv --embedder model --out": "folder",
    "mix images/manifest.csv --set val_share=0 --out": "folder",
    "bench model --data images/manifest.csv --out": "folder",
    "prompts optimise model --data images/manifest.csv --out": "folder",
    "distil --teacher model --student model --data images/manifest.csv --set steps=1 --out": "folder",
    "quantise model --data images/manifest.csv --group-size 32 --out": "folder",
    "paint --painter painter --world render --out": "folder",
    "render --plan --num-frames 1 --out": "folder",
    "study temporal --out": "folder",
    "run mini --out": "folder",
}
BAD_PLACES = {
    "": "file folder",
    "/dev/null": "file folder",
    "/dev/full": "file folder",
    "fifo": "file folder",
    "loop": "file folder",
    "notes.txt": "file folder",
    "images/0.png": "file folder",
    "images/manifest.csv": "file folder",
    "drive.mp4": "file folder",
    "images/0.png/deeper/out": "file folder",
    "/proc/nowhere/out": "file folder",
    f"{'n' * 300}": "file folder",
    "images": "file",
    "model": "file",
    ".": "file",
    "model/config.json": "file folder",
}


INPUTS_AS_OUTPUTS = (
    "ingest images --out images",
    "label images --teacher model --out images",
    "mine labels --text traffic_light.state=red --out labels",
    "mine images/manifest.csv --out out --index images/manifest.csv",
    "mix render --out render",
    "mix labels --out labels/.",
    "distil --teacher model --student model --data images --out model",
    "distil --teacher model --student model --data images --out images",
    "quantise model --data images/manifest.csv --out model",
    "prompts optimise model --data images/manifest.csv --out model",
    "bench model --data images/manifest.csv --out model",
    "paint --painter painter --world render --out render",
    "predict model plan.jsonl --out plan.jsonl",
    "predict model images/0.png --prompts prompts/prompts.json --out prompts/prompts.json",
)


READERS = (
    "predict model {} --out out/preds.jsonl",
    "predict {} images/0.png --out out/preds.jsonl",
    "predict model images/0.png --prompts {} --out out/preds.jsonl",
    "ingest {} --out out",
    "label {} --teacher model --out out",
    "label drive.mp4 --teacher {} --out out",
    "label drive.mp4 --teacher model --gold {} --out out",
    "label drive.mp4 --teacher model --check {} --out out",
    "mine {} --out out",
    "mine images/manifest.csv --like {} --out out",
    "mine images/manifest.csv --embedder {} --out out",
    "mix {} --out out",
    "mix images/manifest.csv --embedder {} --out out",
    "bench model --data {} --out out",
    "bench {} --data images/manifest.csv --out out",
    "distil --teacher model --student model --data {} --out out",
    "distil --teacher model --student {} --data images --out out",
    "quantise model --data {} --out out",
    "quantise {} --data images --out out",
    "prompts optimise {} --data images --out out",
    "prompts show {}",
    "report {}",
    "review {} --port 0",
    "render --scenes {} --out out",
    "paint --painter painter --world {} --out out",
    "paint --painter {} --world render --out out",
    "run mini --drives {} --out out",
    "run mini --images {} --out out",
    "study data --images {} --out out",
)
NO_INPUTS = ("fifo", "loop", "/dev/zero", "/dev/null", "nowhere", "''", "n" * 300)
"""What is there and can never be read to its end, or is not there."""


def setting_cases() -> Iterator[Case]:
    """Settings out of their ranges or of no type that fits, and options likewise."""
    for command, keys in SET_COMMANDS.items():
        for key in keys:
            for value in WRONG_VALUES:
                yield Case(name=f"{command.split()[0]}-{key}={value}", command=f"{command} --set {key}={value}")
    for command in (*SETTINGS, *OPTIONS):
        yield Case(name=command, command=command)


def output_cases() -> Iterator[Case]:
    """Outputs that are an input, a device, another kind of file, or nothing that can be written."""
    for command, kind in OUTPUTS.items():
        for place, kinds in BAD_PLACES.items():
            if kind in kinds.split():
                yield Case(
                    name=f"{command.split()[0]}-out={place[:30]}", command=f"{command} {place!r}", spoil=_special
                )

    for command in INPUTS_AS_OUTPUTS:
        yield Case(name=command, command=command)


def input_cases() -> Iterator[Case]:
    """Every input of every command named as what is no ordinary file or folder."""
    for command in READERS:
        for place in NO_INPUTS:
            name = f"{command.split()[0]}-{command.index('{}')}-{place[:12]}"
            yield Case(name=name, command=command.format(place), spoil=_special)


def _special() -> None:
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
