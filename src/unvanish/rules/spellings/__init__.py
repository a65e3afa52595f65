"""How a change is written down in the user's own framework: one module a language, all of the same functions."""
