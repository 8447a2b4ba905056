"""Load tests of servers that speak OpenAI's API: how fast they answer, at how many requests at a time."""
