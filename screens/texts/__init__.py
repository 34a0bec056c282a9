"""What the screens say, as lines of text. No Textual: every word can be tested without a terminal."""
