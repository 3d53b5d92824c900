"""The codec of protocols in plain Python (python_protocol.py says what the user writes)."""
