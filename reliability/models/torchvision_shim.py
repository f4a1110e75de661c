from reliability.torchvision_shim import ensure_torchvision_imports  # noqa: F401
