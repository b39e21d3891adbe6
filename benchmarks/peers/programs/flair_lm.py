"""flair's forward language model on characters as its tutorial has it: one LSTM layer, SGD at 20, annealed.

Hidden size 1,024 and windows of 250 with 100 at a time are what the tutorial names for a model to be used.
It leaves out empty lines and shuffles the others; so the text that is scored has no empty ones either.
"""

import signal
import tempfile
import time
from pathlib import Path

import task
import torch
from flair.data import Dictionary
from flair.models import RNNLanguageModel
from flair.trainers.language_model_trainer import LanguageModelTrainer, TextCorpus

torch.set_num_threads(task.THREADS)
torch.manual_seed(task.TASK["seed"])
task.imported()
dictionary = Dictionary(add_unk=True)
for symbol in sorted(set(task.TRAIN)):
    dictionary.add_item(symbol)
task.tokenized(lambda text: [dictionary.get_idx_for_item(symbol) for symbol in text])
folder = Path(tempfile.mkdtemp())
(folder / "train").mkdir()
(folder / "train" / "train_split_1").write_text(task.TRAIN, encoding="utf-8")
for name in ("valid.txt", "test.txt"):
    (folder / name).write_text(task.VALID, encoding="utf-8")
corpus = TextCorpus(folder, dictionary, forward=True, character_level=True)
model = RNNLanguageModel(dictionary, is_forward_lm=True, hidden_size=1024, nlayers=1)
trainer = LanguageModelTrainer(model, corpus)


def stop(_number, _frame):
    global ended
    ended = time.monotonic()
    raise KeyboardInterrupt


signal.signal(signal.SIGALRM, stop)
began, ended, steps = None, None, 0
inner = model.forward


def counted(*arguments, **settings):
    """From the first step on the time counts."""
    global began, steps
    if began is None:
        began = time.monotonic()
        signal.alarm(int(task.SECONDS))
    steps += model.training
    return inner(*arguments, **settings)


model.forward = counted
try:
    trainer.train(folder / "out", sequence_length=250, mini_batch_size=100, max_epochs=1000)
except KeyboardInterrupt:
    pass
task.trained(steps * 250 * 100, ended - began)
model.forward = inner
model.eval()
text = "\n".join(line for line in task.VALID.split("\n") if line)
ids = torch.tensor([dictionary.get_idx_for_item(symbol) for symbol in text])
nats, hidden = 0.0, model.init_hidden(1)
with torch.no_grad():
    for first in range(0, len(ids) - 1, 1000):
        targets = ids[first + 1 : first + 1001]
        logits, _, hidden = model.forward(ids[first : first + len(targets), None], hidden)
        nats += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum"))
task.scored(nats, len(ids) - 1)
began = time.monotonic()
text, _ = model.generate_text(task.PROMPT, number_of_characters=task.WRITTEN, temperature=0.8)
task.answer("written_characters_per_second", task.WRITTEN / (time.monotonic() - began))
task.timed(
    "scored_lines_per_second",
    200,
    lambda: [model.calculate_perplexity(line) for line in task.LINES[:200]],
)
task.done()
