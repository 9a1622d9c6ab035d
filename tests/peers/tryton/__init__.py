"""Tryton with its quality module, installed by pip into an environment of its own."""
