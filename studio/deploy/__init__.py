"""Deploy: engines that serve models, how fast they are, and the tools that people put in front of them."""
