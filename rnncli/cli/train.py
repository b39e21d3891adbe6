"""`rnncli train`: corpus or token store -> models/NAME."""

from time import monotonic
from typing import Annotated, Any, get_args

import typer

from rnncli import runtime
from rnncli.cli import options
from rnncli.cli.parsing import Amount, Interval, count, interval, passes, seconds
from rnncli.nn.config import Cell, ModelConfig
from rnncli.training.config import DEFAULT_SECONDS, TrainConfig


def _option(help_text: str, panel: str, default: object = None, **settings: Any) -> Any:
    """An option without a value of its own: the plan, or the default of its config class, decides."""
    shown = "by plan" if default is None else str(default)
    return typer.Option(help=help_text, show_default=shown, rich_help_panel=panel, **settings)


_BUDGETS = ("time", "epochs", "steps")
_WITH_RESUME = {
    "resume",
    *_BUDGETS,
    "device",
    "progress",
    "quiet",
    "verbose",
    "json",
    "config",
    "tensorboard",
}
_BUDGET, _MODEL, _TRAINING = "Budget: what ends first, ends it", "Model", "Training"


def train(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT...", help=f"Texts: {options.TEXTS}. Or token stores."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The model's name under models/.", show_default="the text's")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=options.model_names,
            help="Go on with a run; budgets are totals, or further ones: --time +10m.",
        ),
    ] = None,
    from_model: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            autocompletion=options.model_names,
            help="Begin with the weights of a model, symbol by symbol.",
        ),
    ] = None,
    encoding: options.Encoding = None,
    errors: options.Errors = None,
    newlines: options.Newlines = None,
    level: options.TrainedLevel = None,
    vocab_size: options.VocabSize = None,
    subword_kind: options.SubwordKind = None,
    pattern: options.Pattern = None,
    tokenizer: options.TokenizerFrom = None,
    unit: options.Unit = None,
    workers: options.Workers = None,
    valid: options.Valid = None,
    valid_fraction: options.ValidFraction = None,
    test_fraction: options.TestFraction = None,
    split: options.Split = None,
    split_seed: options.SplitSeed = None,
    time: Annotated[
        Amount | None,
        _option(
            "All of it, planning and validation too.",
            _BUDGET,
            f"{DEFAULT_SECONDS / 60:g}m",
            parser=seconds,
            metavar="90s|5m|1h30m",
        ),
    ] = None,
    epochs: Annotated[
        Amount | None,
        _option("Passes over the training part.", _BUDGET, "none", parser=passes, metavar="N|+N"),
    ] = None,
    steps: Annotated[
        Amount | None, _option("Updates of the weights.", _BUDGET, "none", parser=count, metavar="N|+N")
    ] = None,
    patience: Annotated[
        int | None,
        _option("Validations in a row that may bring nothing better.", _BUDGET, "none", metavar="N"),
    ] = None,
    save_every: Annotated[
        Interval | None,
        _option(
            "A checkpoint so often, besides one at every validation.",
            _BUDGET,
            f"{TrainConfig.save_seconds / 60:g}m" if TrainConfig.save_seconds else "none",
            parser=interval,
            metavar="STEPS|TIME",
        ),
    ] = None,
    cell: Annotated[
        str | None,
        _option(
            "Recurrent cell, or one a layer with commas between.",
            _MODEL,
            metavar="|".join(get_args(Cell)),
        ),
    ] = None,
    nonlinearity: Annotated[
        str | None, _option("Of --cell rnn.", _MODEL, ModelConfig.nonlinearity, metavar="tanh|relu")
    ] = None,
    hidden_size: Annotated[int | None, _option("Width of the recurrent layers.", _MODEL)] = None,
    num_layers: Annotated[int | None, _option("Recurrent layers.", _MODEL)] = None,
    embedding_size: Annotated[int | None, _option("Width of the embedding.", _MODEL)] = None,
    convolution: Annotated[
        int | None,
        _option("Symbols seen together before the first layer.", _MODEL, "none", metavar="K"),
    ] = None,
    attention: Annotated[
        int | None,
        _option("Steps of its own past that the last layer looks at.", _MODEL, "none", metavar="STEPS"),
    ] = None,
    mogrifier: Annotated[
        int | None,
        _option("Rounds in which lstm's input and memory gate one another.", _MODEL, "none", metavar="N"),
    ] = None,
    members: Annotated[
        int | None, _option("Networks side by side, whose probabilities are averaged.", _MODEL)
    ] = None,
    dropout: Annotated[float | None, _option("Part of the units left out in training.", _MODEL)] = None,
    tied_embeddings: Annotated[
        bool | None,
        _option("One matrix for symbols in and out.", _MODEL),
    ] = None,
    ngram: Annotated[
        int | None, _option("Order of an n-gram to put beside the network.", _MODEL, "none", metavar="N")
    ] = None,
    batch_size: Annotated[int | None, _option("Lanes trained side by side.", _TRAINING)] = None,
    bptt: Annotated[int | None, _option("Steps that gradients reach back.", _TRAINING)] = None,
    learning_rate: Annotated[float | None, _option("Highest rate, after warm-up.", _TRAINING)] = None,
    weight_decay: Annotated[float | None, _option("AdamW's decay of the matrices.", _TRAINING)] = None,
    gradient_clip: Annotated[
        float | None, _option("Longest gradient.", _TRAINING, TrainConfig.gradient_clip)
    ] = None,
    activation_regularization: Annotated[
        float | None,
        _option("Weight of the outputs' mean square in what is minimised.", _TRAINING, metavar="ALPHA"),
    ] = None,
    temporal_regularization: Annotated[
        float | None,
        _option("Weight of their mean square change from step to step.", _TRAINING, metavar="BETA"),
    ] = None,
    warmup: Annotated[float | None, _option("Part of the budget.", _TRAINING, TrainConfig.warmup)] = None,
    validations: Annotated[int | None, _option("How often the held-out part is scored.", _TRAINING)] = None,
    validation_tokens: Annotated[
        int | None, _option("How many of its tokens, spread evenly.", _TRAINING)
    ] = None,
    precision: Annotated[
        str | None,
        _option(
            "Of matrix products; auto: with --time what is fastest here, else bf16 where kernels are fused.",
            _TRAINING,
            "auto",
            metavar="auto|fp32|bf16",
        ),
    ] = None,
    kernels: Annotated[
        str | None,
        _option(
            "Of recurrent layers: torch's own or fused ones.", _TRAINING, "auto", metavar="auto|torch|fused"
        ),
    ] = None,
    threads: Annotated[
        int | None,
        _option(
            "Of the processor.",
            _TRAINING,
            "with --time those that are fastest here, else torch's",
            metavar="N",
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Event files in the model's folder too.", rich_help_panel=_TRAINING
        ),
    ] = False,
    seed: Annotated[int | None, _option("Of weights and dropout.", _TRAINING, TrainConfig.seed)] = None,
    device: options.Device = "auto",
    progress: Annotated[options.Progress, typer.Option(help="How it is shown.")] = options.Progress.auto,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
    config: options.Settings = None,
) -> None:
    """Train a recurrent model on a text, within a time.

    Without options, the text, the time and a few seconds of measuring decide everything.

    Example: rnncli train novel.txt --time 5m --name novel
    """
    began = monotonic()
    _refuse_what_would_do_nothing(context, corpus, resume)
    from rnncli.cli import preparing, resuming, training_session, writing
    from rnncli.console import terminal, training_view
    from rnncli.storage.tensorboard import writer_type
    from rnncli.training.distributed import from_environment, joined
    from rnncli.workflows.devices import pick_device

    if tensorboard:
        writer_type()  # before anything is read

    budget = {"seconds": time, "epochs": epochs, "steps": steps}
    ranks, where = from_environment(), pick_device(device)
    with (
        joined(ranks, where),
        training_view.open_view(progress.value, quiet or not ranks.leads, verbose) as view,
    ):
        if not ranks.leads:
            training_session.follow(where, ranks)
            return
        if resume is not None:
            ready = resuming.resumed(resume, budget, where, began)
        else:
            totals = {unit: None if amount is None else amount.value for unit, amount in budget.items()}
            totals["steps"] = None if steps is None else round(steps.value)
            saving = {f"save_{unit}": value for unit, value in vars(save_every or Interval()).items()}
            settings = {**context.params, **totals, **saving}
            source = preparing.Source(tuple(corpus or ()), settings, from_model)
            ready = preparing.begun(source, name, where, view, began)
        with ready as session:
            outcome = training_session.carry_out(session, view, ranks, tensorboard)
    try:
        if json:
            terminal.print_json(training_view.outcome_record(outcome.saved, session.planned, outcome.score))
        else:
            writing.write(f"{outcome.saved.path}\n")
    except OSError:
        if not outcome.signal:
            raise
        # The terminal is gone, and that is why we stopped: nothing is left to be flushed to it.
        runtime.discard_stdout()
    if outcome.signal:
        raise SystemExit(128 + outcome.signal)


def _refuse_what_would_do_nothing(
    context: typer.Context, corpus: list[str] | None, resume: str | None
) -> None:
    """A resumed run has its text and its settings; only its budget may change."""
    if (not corpus) == (resume is None):
        raise typer.BadParameter("name a text, or --resume a model, and not both", param_hint="TEXT...")
    if resume is None:
        for budget in _BUDGETS:
            amount = context.params[budget]
            if amount is not None and amount.further:
                raise typer.BadParameter("more than what? + goes with --resume", param_hint=f"--{budget}")
        return
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if (
            parameter.name not in _WITH_RESUME
            and source is not None
            and source.name in ("COMMANDLINE", "DEFAULT_MAP")
        ):
            raise typer.BadParameter("cannot change when a run is resumed", param_hint=parameter.opts[0])
