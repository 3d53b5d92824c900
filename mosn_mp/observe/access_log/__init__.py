"""Access logs: formats, their variables, the record of a request, the files."""
