"""Reading Exim's configuration text without changing it: lists, sections, labels. Pure."""
