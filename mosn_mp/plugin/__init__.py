"""Floor 1: what a configuration can name: the catalogue of it, and users' Python files as they were accepted."""

from mosn_mp.plugin.catalogue import BUILT_IN, CATALOGUE, Catalogue
from mosn_mp.plugin.edition import Edition
from mosn_mp.plugin.source import NO_SOURCES, Module, Sources

__all__ = ["BUILT_IN", "CATALOGUE", "NO_SOURCES", "Catalogue", "Edition", "Module", "Sources"]
