"""The page and its server, without knowing any tab: rendering, live regions, endpoints, the guard before them."""
