"""`rnncli train`: texts or token datasets -> models/NAME."""

from time import monotonic

import typer

from rnncli.cli import options
from rnncli.training.config import TrainOptions

_OUTPUT = ("progress", "quiet", "verbose", "json", "config")
_WITH_RESUME = ("resume", "time", "epochs", "steps", "tensorboard", "device", *_OUTPUT)


def train(
    context: typer.Context,
    texts: options.TrainingTexts = None,
    name: options.Name = None,
    resume: options.Resume = None,
    from_model: options.FromModel = None,
    *,
    chosen: TrainOptions,
    tensorboard: options.TensorBoard = False,
    device: options.Device = "auto",
    progress: options.ShownProgress = options.Progress.auto,
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
    if (not texts) == (resume is None):
        raise typer.BadParameter("name a text, or --resume a model, and not both", param_hint="TEXT")
    if resume is not None:
        options.refuse_others(context, _WITH_RESUME, "cannot change when a training is resumed")
    from rnncli.cli.signals import signal_requests
    from rnncli.console import training_view
    from rnncli.training.distributed import connected, from_environment
    from rnncli.workflows.devices import pick_device
    from rnncli.workflows.resume import resume_events
    from rnncli.workflows.train import NewRun, train_events, watch_events
    from rnncli.workflows.training_session import Watch, follow

    group, where = from_environment(), pick_device(device)
    hidden = quiet or not group.is_main_process
    with connected(group, where), training_view.open_view(progress.value, hidden, verbose) as view:
        if not group.is_main_process:
            follow(where, group, signal_requests)
            return
        shown = training_view.is_shown(view)
        watch = Watch(requests=signal_requests, samples=shown, tensorboard=tensorboard, group=group)
        if resume is not None:
            events = resume_events(resume, chosen.budget, where, watch=watch, began=began)
        else:
            run = NewRun(
                texts=tuple(texts or ()),
                options=chosen,
                device=where,
                automatic=device == "auto",
                name=name,
                pretrained=from_model,
            )
            events = train_events(run, watch, began)
        result = watch_events(events, view.show)
    training_view.print_result(result, json)
    if result.signal:
        raise SystemExit(128 + result.signal)
