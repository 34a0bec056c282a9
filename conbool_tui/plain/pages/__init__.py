"""The wizard's screens as conversations, one module each. A page returns when the next step comes; ``BackError`` goes back."""
