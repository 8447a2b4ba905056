"""What the files of an evaluation say of all its rows, as arrays that grow with them."""
