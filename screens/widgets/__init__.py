"""The wizard's own widgets: text markers instead of colour alone, few bytes, no mouse."""
