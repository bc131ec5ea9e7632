"""``python -m modeldata doctor``: an onlooker that finds out why rows wait, and changes nothing."""
