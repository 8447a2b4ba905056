"""What the tab shows of the models on disk: their list, and all about one of them."""
