"""Which datasets there are: dataset_info.json, its entries, what was told when a set came in, hubs."""
