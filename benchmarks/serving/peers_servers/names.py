"""What the files of ultralytics' export are called. Imports nothing, so that the benchmark need not load it."""

WEIGHTS = "model.pt"
EXPORTED = "model_openvino_model"
