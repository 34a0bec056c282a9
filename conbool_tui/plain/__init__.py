"""The wizard in lines: the same questions in the same words, for screen readers and terminals that cannot place text. No Textual."""
