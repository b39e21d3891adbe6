"""textgenrnn with its defaults."""

import task
from textgenrnn import textgenrnn

task.imported()
model = textgenrnn()
model.train_on_texts([task.TRAIN], num_epochs=1)
task.done()
