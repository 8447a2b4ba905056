"""An exported model sent to a hub."""
