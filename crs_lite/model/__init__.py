"""Backbones: built, loaded, kept in number formats a machine can do, trained by several processes."""
