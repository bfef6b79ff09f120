# Nothing is frozen in.
