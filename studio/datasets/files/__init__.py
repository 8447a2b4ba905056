"""Files of rows: read at any place, indexed, changed row by row; and those that come in, whatever they are."""
