"""The parts of one running proxy, as the composition root (`app`) puts them together."""
