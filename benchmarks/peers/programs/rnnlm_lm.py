"""rnnlm, a toolkit for speech recognition, on 500 pieces: two layers of 512 and 50 lines at a time.

Its defaults (three layers of 2,048, 400 lines at a time) take some steps in a minute on a processor. It is
stopped when the time is over; the last checkpoint of every 20 steps is scored by its own `ppl`, by line.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

import sentencepiece
import task

sentencepiece.SentencePieceTrainer.train(
    input=task.TASK["train"],
    model_prefix="bpe",
    vocab_size=500,
    model_type="bpe",
    minloglevel=2,
    pad_id=3,
)
shape = ["--embedding-dim", "512", "--hidden-dim", "512", "--num-layers", "2", "--bpe-model", "bpe.vocab"]
shape += ["--exp-dir", "exp"]
command = [str(Path(sys.executable).parent / "rnnlm")]
pieces = sentencepiece.SentencePieceProcessor(model_file="bpe.model")
for name in ("train", "valid"):
    lines = [line.strip() for line in Path(task.TASK[name]).read_text(encoding="utf-8").split("\n")]
    lines = [line for line in lines if len(pieces.encode(line)) > 1]  # the others it passes over
    Path(f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
train = [*command, "train", "--training-data", "train.txt", "--validation-data", "valid.txt", *shape]
train += ["--batch-size", "50", "--save-every-n", "20", "--tensorboard", "False", "--world-size", "1"]
log = Path("log").open("w")
process = subprocess.Popen(train, stdout=log, stderr=log)
try:
    process.wait(task.SECONDS + 10)  # it takes as long to begin
except subprocess.TimeoutExpired:
    process.kill()
    process.wait()
steps = [int(re.search(r"-(\d+)\.pt", path.name)[1]) for path in Path("exp").glob("checkpoint-*.pt")]
if not steps:
    raise SystemExit(Path("log").read_text()[-300:])
score = [*command, "ppl", "--test-data", "valid.txt", "--iter", str(max(steps)), "--avg", "1", *shape]
score += ["--max-seq-len", "400"]
began = time.monotonic()
ran = subprocess.run(score, capture_output=True, text=True, check=True)
nll, sentences = re.search(r"total nll: ([\d.]+), .* num sentences: (\d+)", ran.stdout + ran.stderr).groups()
task.scored(float(nll), sum(len(line) + 1 for line in lines))
task.answer("scored_lines_per_second", int(sentences) / (time.monotonic() - began))
task.done()
