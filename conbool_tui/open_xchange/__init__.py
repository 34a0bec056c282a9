"""OX App Suite as data: its property files and the lists that its command line tools print. Pure."""
