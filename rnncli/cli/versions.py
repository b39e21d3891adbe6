"""What `rnncli --version` says of torch."""

import platform


def torch_line() -> str:
    """Versions, device and kernels; why torch cannot be imported, where it cannot."""
    python = f"Python {platform.python_version()}"
    try:
        import torch

        from rnncli.nn.fused.support import missing
        from rnncli.workflows.devices import present_devices
    except (ImportError, OSError) as error:
        return f"{python}, no torch: {error}"
    device = "cuda" if "cuda" in present_devices() else "cpu"
    kernels = ", fused kernels" if device == "cpu" and missing() is None else ""
    threads = f" with {torch.get_num_threads()} threads" if device == "cpu" else ""
    return f"{python}, torch {torch.__version__}, {device}{threads}{kernels}"
