"""Connections that carry messages of many streams at a time."""
