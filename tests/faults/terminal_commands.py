"""Every command with a place for a string: as a value, a name, a file's content, a line, a prompt."""

from tests.faults.conftest import SHAPE

TINY = f"--steps 2 {' '.join(SHAPE)}"
LEVELS = ("word", "char", "subword", "byte")


def commands(named: str) -> list[str]:
    return named.strip().replace("{tiny}", TINY).replace("\n", "|").split("|")


# With a value that is named where it is wrong.
VALUES = commands("""
{}|info c {}|info {}|verify {}
tokenize {}|tokenize @{}|tokenize text.txt --encoding={}|tokenize text.txt --errors={}
tokenize text.txt --newlines={}|tokenize text.txt --level={}|tokenize text.txt --subword-kind={}
tokenize text.txt --tokenizer={}|tokenize text.txt --split-method={}
tokenize text.txt --valid={}|tokenize text.txt --config={}|tokenize text.txt -o {}/x
train {}|train text.txt --name={}|train --resume={}|train text.txt --from={}|train text.txt --cell={}
train text.txt --nonlinearity={}|train text.txt --precision={}|train text.txt --kernels={}
train text.txt --device={}|train text.txt --time={}|train text.txt --epochs={}|train text.txt --steps={}
train text.txt --progress={}|train text.txt --save-every={}
ngram {}|ngram c --from-arpa={}|ngram c --arpa={}/x|ngram c --device={}
eval {}|eval -m {}|eval text.txt -m c -m {}|eval --split={}|eval --by={}|eval --reset={}
score {}|score -m {}|score text.txt --format={}|score text.txt --unit={}|score text.txt --columns={}
score text.txt --base={}|score text.txt --html={}/x
rescore {}|rescore list.txt --weights={}|rescore list.txt --scores={}|rescore list.txt --format={}
rescore list.txt --dev={} --reference=list.txt|rescore list.txt --metric={}
generate -m {}|generate --format={}|generate --device={}
complete -m {}|complete --to={}|complete --device={}|memorized {}|memorized -m {}
plot {}|plot --figure={}|plot c --output={}/x.png|compare {}|compare text.txt --device={}
""")
# Of these it is said only that they are no numbers, or that they are settled; or they are cut.
UNNAMED_VALUES = commands("""
tokenize text.txt --workers={}|train text.txt --dropout={}|train t.tok --level={}|ngram c --order={}
eval --chunks={}|score text.txt --top={}|generate --temperature={}
generate --match=({}|memorized --min-length={}
""")
# With the name of a text, of a model `.m`, and of what cannot be read.
NAMES = commands("""
tokenize {} --report -o {}.tok|tokenize {} --json -o {}.2|tokenize {} -o {}.tok
tokenize {} -o {}.tok --level word|tokenize {}.bin|tokenize {}.empty
train {} --name b --progress bar {tiny}|train {}.tok --name p --progress plain --json {tiny}
train --resume {m}|train --resume {m} --steps +1|train --resume {m} --steps +1 --progress plain
train --resume {u} --steps +1 --progress plain|train --resume {u} --steps +1 --progress none --json
eval {}|eval {}.bin|eval {} --json|eval {} -m {m} -m c|eval -m {m} --json
score {} --format srilm|score {}.bin|score {} --pairs|score {} -m {m} --top 1
memorized {}|memorized -m {m} -l 50|rescore {}|rescore list.txt -m {m}|generate --config {}
ngram c --from-arpa {}|ngram {m} --order 2 --json|generate -m {m} -l 9|complete -m {m} a
info {m}|info {m} --json|verify {m}|verify {m} --json|info nowhere|plot {m} c|plot {m} --figure embeddings
info {u}|eval -m {u}|ngram {u} --order 2 --json|verify {u} --json
""")
UNNAMED_NAMES = commands("""
score {}.empty|score {} --unit line --html {}.html|ngram c --arpa {}.arpa
tokenize {} --encode --tokenizer {m}
""")
# With a text of hostile lines: what is counted in it, and samples of what a model makes of it.
REPORTS = commands("tokenize text --report -o t.tok|tokenize text --report --json")
TRAINED = commands("""
train text --name {} --level {} --workers 1 --progress bar {tiny}
train text --name {} --level {} --workers 1 --progress plain {tiny}
""")
# With a text, n-best lists and pairs of hostile lines, which stand in the output as they are.
LINES = commands("""
score text --unit line|score text --format jsonl|score text --format srilm|score text --top 10000
score lists --format kaldi|rescore lists|rescore lists --all|rescore lists --format nbest
rescore lists --dev lists --reference said
""")
# Tokens, a part, a table that is cut, or what the model makes of them.
PARTS_OF_LINES = commands("""
eval text|eval text --by line|eval text --reset line --by position|eval --by frequency|eval --dynamic --json
score text|score text --unit character|score text --unit word --columns rank,entropy,entropy-reduction,oov
score text --format minicons|score text --format neural-complexity|score text --format kenlm
score pairs --pairs|score lists --format nbest|generate -l 300 --temperature 3|generate --beam 3 -l 40
generate -n 9 -l 99 --temperature 3|generate -n 9 -l 99 --temperature 3 --format jsonl
generate --enumerate 3 -l 20|complete --to token -n 50|complete --to word|complete --to line -l 20
memorized text|memorized -l 200|info --gradients|ngram --order 3|verify
plot|plot --figure embeddings|plot --figure neurons
tokenize text --encode --tokenizer {}|tokenize ids --decode --tokenizer {}
""")
PROMPTS = commands("""
generate --prompt={} -l 9|generate --prompt={} -l 9 -n 2 --format jsonl|generate --prompt={} --beam 2 -l 9
generate --prompt={} --match=a* -l 9
""")
# What a file says, the command that reads it, and whether what it says is named.
FILES = (
    ("{toml} = 1", "generate --config {file}", True),
    ("prompt = {toml}", "generate --config {file} --help", False),
    ("format = {toml}", "generate --config {file}", True),
    ("{}", "generate --config {file}", False),
    ("{word}", "tokenize @{file}", True),
    ("{}", "score {file} --pairs", False),
    ("{}", "eval {file}", False),
    ("0 {word}", "tokenize {file} --decode --tokenizer c", False),
    ("{word} x", "rescore {file}", True),
    ("{word}-1 x\n{word}-1 y", "rescore {file}", True),
    ("{word}-1 x", "rescore {file} --scores costs.txt", True),
    ("{word}-1 x", "rescore list.txt --dev {file} --reference said.txt", True),
    ("a-1 1\na-2 {}", "rescore list.txt --scores {file}", True),
    ("a x\n{word} x", "rescore list.txt --dev list.txt --reference {file}", True),
    ("\\data\\\n\\1-grams:\n{}\n", "ngram c --from-arpa {file}", False),
)
RESUME = "train --resume {m} --steps +1 --progress plain"
# What a stranger wrote into a model: a file, where in its JSON, and the command that names it.
STRANGE = commands(f"""
config.json corpus info {{m}}|config.json corpus info {{m}} --json|config.json level info {{m}}
config.json format_version info {{m}}|config.json {{}} info {{m}}|config.json model/{{}} info {{m}}
config.json training/{{}} info {{m}}
tokenizer.json level generate -m {{m}}|corpus.tok/dataset.json name eval -m {{m}}
corpus.tok/dataset.json name {RESUME}|corpus.tok/dataset.json sources/0/encoding {RESUME}
corpus.tok/dataset.json format_version eval -m {{m}}|corpus.tok/dataset.json reading/errors eval -m {{m}}
corpus.tok/dataset.json sources/0/{{}} eval -m {{m}}
""")
# A long value is cut short where it is named, or not named at all.
UNNAMED_STRANGE = commands("""
config.json status info {m}|config.json line_by_line info {m}|config.json seconds info {m}
config.json model/cell info {m}|config.json model/ensemble_size info {m}
config.json saved_at info {m}|config.json corpus_sha256 info {m}|config.json model/dropout info {m}
config.json stores eval -m {m}
""")


def filled(command: str, said: str = "", **marks: str) -> list[str]:
    """The arguments of a command, with what its marks stand for: `said` is {}."""
    arguments = command.split(" ")
    for mark, value in {"": said, **marks}.items():
        arguments = [argument.replace(f"{{{mark}}}", value) for argument in arguments]
    return arguments
