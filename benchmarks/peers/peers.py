"""The peers: what each is, where it lives, which program asks it."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.environments import TORCH, Environment

ROOT, PROGRAMS = Path(__file__).parents[2], Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Peer:
    """`about` is what its row says; its program's docstring says more."""

    about: str
    environment: Environment
    program: Path
    arguments: tuple[str, ...] = ()


def _peer(about: str, program: str, name: str, *packages: str, arguments: tuple[str, ...] = ()) -> Peer:
    names = tuple(package.split("=")[0] for package in packages)
    return Peer(about, Environment(name, packages, names), PROGRAMS / program, arguments)


_KERAS = ("keras", "tensorflow-cpu", "keras")
_GPT2 = ("transformers", TORCH, "transformers")

PEERS = {
    "rnncli": Peer(
        "rnncli, a time and nothing else",
        # This very source, with the versions that it is tested with.
        Environment("rnncli", ("-c", f"{ROOT}/constraints.txt", "-e", str(ROOT)), ("rnncli", "torch")),
        PROGRAMS / "rnncli_itself.py",
    ),
    "torch": _peer("PyTorch's word_language_model example", "torch_tutorial.py", "torch", TORCH, "numpy"),
    "keras-tutorial": _peer(
        "Keras, TensorFlow's text generation tutorial",
        "keras_lm.py",
        *_KERAS,
        arguments=("tutorial", "tensorflow"),
    ),
    "keras-rnn": _peer("the same with a SimpleRNN", "keras_lm.py", *_KERAS, arguments=("rnn", "tensorflow")),
    "keras-sizes": _peer(
        "Keras with rnncli's sizes", "keras_lm.py", *_KERAS, arguments=("sizes", "tensorflow")
    ),
    "keras-torch": _peer(
        "Keras with rnncli's sizes, on torch",
        "keras_lm.py",
        *("keras-torch", TORCH, "keras"),
        arguments=("sizes", "torch"),
    ),
    "gpt2": _peer("transformers, a GPT-2 as large", "gpt2.py", *_GPT2, arguments=("sizes",)),
    "nanogpt": _peer("transformers, nanoGPT's recipe", "gpt2.py", *_GPT2, arguments=("nanogpt",)),
    "fastai": _peer("fastai, AWD-LSTM", "fastai_lm.py", "fastai", TORCH, "fastai"),
    "flair": _peer("flair's language model", "flair_lm.py", "flair", TORCH, "flair"),
    "nltk": _peer("NLTK, Kneser-Ney of order 6", "kneser_ney.py", "nltk", "nltk"),
    "textgenrnn": _peer("textgenrnn", "textgenrnn_lm.py", "textgenrnn", "textgenrnn"),
    "rnnlm": _peer(
        "rnnlm, two layers of 512, subwords", "rnnlm_lm.py", "rnnlm", TORCH, "rnnlm", "sentencepiece"
    ),
}
