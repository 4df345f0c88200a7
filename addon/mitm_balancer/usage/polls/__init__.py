"""How each provider tells what is left, for those that have a place to ask. Which one it is: `registry.poll_of`."""
