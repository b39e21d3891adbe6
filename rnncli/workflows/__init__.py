"""What a command and the Python API both do, from end to end."""
