"""Files as they are read and written: atomically, typed on the way in, and to the trash rather than away."""
