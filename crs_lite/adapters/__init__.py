"""Real logs: each format is a module that makes a `SearchLog` of its files. `registry` names them all."""
