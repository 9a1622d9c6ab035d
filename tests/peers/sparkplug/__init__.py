"""Two decoders of Sparkplug B that nobody here wrote, each in an environment of its own."""
