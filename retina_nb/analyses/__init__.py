"""In-silico experiments: functions of a twin, or of a recording, that return a small dataclass."""
